//! The response documents of the endpoints, in the formats that AWS documents.

use super::{Keys, RecordedRequest, RequestKind};

/// Credentials in the format of the endpoint.
///
/// Sources: [IMDS](https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html),
/// [the container endpoint](https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html),
/// [AssumeRole](https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html).
pub(super) fn credentials(asked: &RecordedRequest, keys: &Keys) -> String {
    let Keys { id, secret, .. } = keys;
    let (token, end) = (keys.token.as_deref().unwrap_or_default(), keys.expiration());
    let json = format!(
        r#""AccessKeyId": "{id}", "SecretAccessKey": "{secret}", "Token": "{token}", "Expiration": "{end}""#
    );
    match asked.kind {
        RequestKind::Imds => {
            format!(
                r#"{{"Code": "Success", "LastUpdated": "2026-01-01T00:00:00Z", "Type": "AWS-HMAC", {json}}}"#
            )
        }
        RequestKind::Container => format!("{{{json}}}"),
        RequestKind::CreateSession => express(keys),
        _ => sts(asked, keys),
    }
}

/// Source: [CreateSession](https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateSession.html).
fn express(keys: &Keys) -> String {
    let Keys { id, secret, .. } = keys;
    let (token, end) = (keys.token.as_deref().unwrap_or_default(), keys.expiration());
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<CreateSessionResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
  <Credentials>
    <SessionToken>{token}</SessionToken>
    <SecretAccessKey>{secret}</SecretAccessKey>
    <AccessKeyId>{id}</AccessKeyId>
    <Expiration>{end}</Expiration>
  </Credentials>
</CreateSessionResult>"#
    )
}

/// The error of S3 for a caller without the right to create a session.
pub(super) fn session_denied() -> String {
    r#"<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>AccessDenied</Code><Message>canary</Message><RequestId>4442587FB7D0A2F9</RequestId></Error>"#
        .to_owned()
}

fn sts(asked: &RecordedRequest, keys: &Keys) -> String {
    let Keys { id, secret, .. } = keys;
    let (token, end) = (keys.token.as_deref().unwrap_or_default(), keys.expiration());
    let (action, session) = (asked.parameter("Action"), asked.parameter("RoleSessionName"));
    let role = asked.parameter("RoleArn").rsplit('/').next().unwrap_or_default();
    format!(
        r#"<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <{action}Result>
    <AssumedRoleUser>
      <AssumedRoleId>AROA3XFRBF535PLBIFPI4:{session}</AssumedRoleId>
      <Arn>arn:aws:sts::123456789012:assumed-role/{role}/{session}</Arn>
    </AssumedRoleUser>
    <Credentials>
      <AccessKeyId>{id}</AccessKeyId>
      <SecretAccessKey>{secret}</SecretAccessKey>
      <SessionToken>{token}</SessionToken>
      <Expiration>{end}</Expiration>
    </Credentials>
  </{action}Result>
  <ResponseMetadata>
    <RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId>
  </ResponseMetadata>
</{action}Response>"#
    )
}

/// The error of STS for a caller without the right to assume a role.
pub(super) fn role_denied(role: &str) -> String {
    format!(
        r#"<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <Error>
    <Type>Sender</Type>
    <Code>AccessDenied</Code>
    <Message>User is not authorized to perform: sts:AssumeRole on resource: {role}</Message>
  </Error>
  <RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId>
</ErrorResponse>"#
    )
}
