//! Calls `CreateSession` of S3 with the AWS SDK.

use std::{
    error::Error,
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials as SdkCredentials;
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

/// How long one attempt may take. The SDK makes up to three.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);

/// Creates a session for a directory bucket with the credentials of a signer. The session can read and write, as far as
/// these credentials can.
pub(super) async fn create_session(snapshot: &Snapshot, bucket: &str) -> Result<Credentials, SessionError> {
    let unavailable = |problem: &str| SessionError::unavailable(bucket, problem.to_owned());
    let response = client(snapshot).create_session().bucket(bucket).send().await;
    let CreateSessionOutput { credentials, .. } = response.map_err(|error| session_error(&error, bucket))?;
    let session = credentials.ok_or_else(|| unavailable("the response has no credentials"))?;
    let expiry = SystemTime::try_from(session.expiration)
        .map_err(|_| unavailable("the response has no valid expiration"))?;
    Ok(Credentials::new(
        session.access_key_id,
        Secret::from(session.secret_access_key),
        Some(Secret::from(session.session_token)),
        Some(expiry),
    ))
}

/// A client for the endpoint of the signer. `public_endpoint` is for the clients of URLs, not for presignd.
fn client(snapshot: &Snapshot) -> Client {
    let (credentials, endpoint) = (snapshot.credentials(), &snapshot.rules().endpoint);
    let (key, secret, token) = credentials.expose_to_aws();
    let sdk_credentials =
        SdkCredentials::new(key, secret, token.map(str::to_owned), credentials.expires_at(), "presignd");
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(ATTEMPT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .build();
    let mut config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(sdk_credentials)
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

/// Maps an SDK error. An error code of S3 is used alone; any other error is described with its causes.
fn session_error(error: &SdkError<CreateSessionError>, bucket: &str) -> SessionError {
    let bucket = bucket.to_owned();
    let status = error.raw_response().map(|response| response.status().as_u16());
    match error.as_service_error().zip(status) {
        Some((error, status @ (400..=428 | 430..=499))) => {
            let code = error.code().map_or_else(|| format!("status {status}"), str::to_owned);
            SessionError::Refused { bucket, problem: code }
        }
        _ => SessionError::Unavailable { bucket, problem: source::describe_error(error as &dyn Error) },
    }
}
