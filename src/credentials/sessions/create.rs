//! Asks S3 for a session, with AWS's own client.

use std::{
    error::Error,
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials as Own;
use aws_sdk_s3::{
    Client, Config,
    config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig},
    error::{ProvideErrorMetadata, SdkError},
    operation::create_session::{CreateSessionError, CreateSessionOutput},
};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};

use super::SessionError;
use crate::{
    credentials::source,
    presign::{
        credentials::{Credentials, Secret},
        endpoint::Addressing,
        snapshot::Snapshot,
    },
};

/// How long one attempt may take. There are three.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(3);

/// A session of a directory bucket, made with a signer's own credentials. It may read and write, or what the credentials
/// allow of that.
pub(super) async fn session(own: &Snapshot, bucket: &str) -> Result<Credentials, SessionError> {
    let unavailable = |problem: &str| SessionError::unavailable(bucket, problem.to_owned());
    let asked = client(own).create_session().bucket(bucket).send().await;
    let CreateSessionOutput { credentials, .. } = asked.map_err(|error| failure(&error, bucket))?;
    let session = credentials.ok_or_else(|| unavailable("its answer has no credentials"))?;
    let end = SystemTime::try_from(session.expiration)
        .map_err(|_| unavailable("its answer has no end that is a time"))?;
    Ok(Credentials::new(
        session.access_key_id,
        Secret::from(session.secret_access_key),
        Some(Secret::from(session.session_token)),
        Some(end),
    ))
}

/// A client that asks where presignd itself would, which is not `public_endpoint`.
fn client(own: &Snapshot) -> Client {
    let (credentials, endpoint) = (own.credentials(), &own.rules().endpoint);
    let (key, secret, token) = credentials.expose_to_aws();
    let own = Own::new(key, secret, token.map(str::to_owned), credentials.expires_at(), "presignd");
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(ATTEMPT_LIMIT)
        .operation_attempt_timeout(ATTEMPT_LIMIT)
        .build();
    let mut config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(own)
        .http_client(source::http_client())
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .retry_config(RetryConfig::standard())
        .timeout_config(timeouts)
        .force_path_style(endpoint.addressing == Addressing::Path);
    config.set_region(endpoint.region.as_ref().map(|region| Region::new(region.to_string())));
    config.set_endpoint_url(endpoint.endpoint.as_ref().map(ToString::to_string));
    config.set_use_fips(endpoint.fips);
    config.set_use_dual_stack(endpoint.dual_stack);
    Client::from_conf(config.build())
}

/// What S3 says is told by its code and message; everything else by its causes.
fn failure(error: &SdkError<CreateSessionError>, bucket: &str) -> SessionError {
    let bucket = bucket.to_owned();
    let status = error.raw_response().map(|response| response.status().as_u16());
    match error.as_service_error().zip(status) {
        Some((said, status @ (400..=428 | 430..=499))) => {
            let code = said.code().map_or_else(|| format!("status {status}"), str::to_owned);
            SessionError::Refused { bucket, problem: code }
        }
        _ => SessionError::Unavailable { bucket, problem: source::chain(error as &dyn Error) },
    }
}
