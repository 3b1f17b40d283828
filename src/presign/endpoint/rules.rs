//! The settings that determine endpoints: those of a signer, and the defaults from the environment and the profile.

use std::{borrow::Cow, fmt, str::FromStr};

use thiserror::Error;

use crate::presign::name::Region;

/// The settings of a signer that determine endpoints. [`EndpointDefaults`] apply to unset ones.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EndpointRules {
    /// The region for targets without a region of their own.
    pub region: Option<Region>,
    /// An S3-compatible server or a private link, instead of AWS's endpoint.
    pub endpoint: Option<EndpointUrl>,
    /// Use AWS's endpoints even if the defaults have an endpoint. `endpoint` is unset then.
    pub force_aws: bool,
    /// The address of `endpoint` for the users of URLs. If set, URLs contain it instead of `endpoint`.
    pub public_endpoint: Option<EndpointUrl>,
    /// How URLs contain the bucket.
    pub addressing: Addressing,
    /// Use AWS's FIPS endpoints. Default: false.
    pub fips: Option<bool>,
    /// Use AWS's endpoints for IPv4 and IPv6. Default: false.
    pub dual_stack: Option<bool>,
    /// Use S3 Transfer Acceleration. Default: false.
    pub accelerate: Option<bool>,
    /// Whether an ARN may have another region than the signer. Default: true.
    pub use_arn_region: Option<bool>,
    /// Sign for directory buckets with the signer's own credentials, without an S3 Express session. Default: false.
    pub disable_session_auth: Option<bool>,
    /// Use SigV4A where it is optional, which is S3 on Outposts. Multi-Region Access Points always use it. Default: false.
    pub sigv4a: Option<bool>,
}

/// The defaults of the AWS SDKs: variables of the environment, and settings of the profile.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EndpointDefaults {
    /// `AWS_REGION`, `region`.
    pub region: Option<Region>,
    /// `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, `endpoint_url`.
    pub endpoint: Option<EndpointUrl>,
    /// `AWS_USE_FIPS_ENDPOINT`, `use_fips_endpoint`.
    pub fips: Option<bool>,
    /// `AWS_USE_DUALSTACK_ENDPOINT`, `use_dualstack_endpoint`.
    pub dual_stack: Option<bool>,
    /// `AWS_S3_USE_ARN_REGION`, `s3_use_arn_region`.
    pub use_arn_region: Option<bool>,
    /// `AWS_S3_DISABLE_EXPRESS_SESSION_AUTH`, `s3_disable_express_session_auth`.
    pub disable_session_auth: Option<bool>,
}

impl EndpointRules {
    /// These rules, with the defaults for unset settings.
    #[must_use]
    pub fn with_defaults(self, defaults: &EndpointDefaults) -> Self {
        Self {
            region: self.region.or_else(|| defaults.region.clone()),
            endpoint: self.endpoint.or_else(|| defaults.endpoint.clone().filter(|_| !self.force_aws)),
            fips: self.fips.or(defaults.fips),
            dual_stack: self.dual_stack.or(defaults.dual_stack),
            use_arn_region: self.use_arn_region.or(defaults.use_arn_region),
            disable_session_auth: self.disable_session_auth.or(defaults.disable_session_auth),
            ..self
        }
    }

    /// The custom endpoint in URLs; none for AWS's endpoints.
    pub fn url_endpoint(&self) -> Option<&EndpointUrl> {
        self.public_endpoint.as_ref().or(self.endpoint.as_ref())
    }
}

/// How a bucket is put into the URL.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Addressing {
    /// `BUCKET.host`. Path style if that is impossible: a dot in the name with TLS, capital letters, an IP address.
    #[default]
    VirtualHost,
    /// `host/BUCKET`, always.
    Path,
}

/// A custom endpoint: `http` or `https`, a host, and optionally a port and a base path. Scheme and host are in lower
/// case, as clients send them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EndpointUrl(String);

impl EndpointUrl {
    /// Whether the host is an IP address, so that the bucket cannot be part of the host name.
    pub fn is_ip_address(&self) -> bool {
        let authority = self.0.split('/').nth(2).unwrap_or_default();
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        authority.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok()
    }
}

/// The text is not an endpoint. The message completes the sentence "it must be …" and does not repeat the text, which may
/// contain a password.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("an endpoint, http://HOST[:PORT][/BASE] or https://…, without user, query or fragment")]
pub struct EndpointUrlError;

impl FromStr for EndpointUrl {
    type Err = EndpointUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: http::Uri = text.parse().map_err(|_| EndpointUrlError)?;
        let authority = uri.authority().ok_or(EndpointUrlError)?;
        let schemes = ["http", "https"];
        let scheme = uri.scheme_str().filter(|scheme| schemes.contains(scheme)).ok_or(EndpointUrlError)?;
        let is_plain = uri.query().is_none() && !text.contains('#') && !authority.as_str().contains('@');
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => String::new(),
            // Without leading zeros, as clients send it.
            Some(_) => format!(":{}", authority.port_u16().filter(|port| *port > 0).ok_or(EndpointUrlError)?),
            None => return Err(EndpointUrlError),
        };
        let is_valid_path = uri.path().bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~/".contains(&b))
            && !uri.path().split('/').any(|part| part == "." || part == "..");
        if is_plain && is_valid_path && is_host(authority.host()) {
            let base = uri.path().trim_end_matches('/');
            // AWS's rules append the bucket directly to the base path, so it needs a trailing slash.
            let slash = if base.is_empty() { "" } else { "/" };
            Ok(Self(format!("{scheme}://{}{port}{base}{slash}", authority.host().to_ascii_lowercase())))
        } else {
            Err(EndpointUrlError)
        }
    }
}

/// Replaces the user and password in the text of an endpoint, which may be invalid, by `***`.
pub fn mask_user(text: &str) -> Cow<'_, str> {
    let Some((before, host)) = text.rsplit_once('@') else { return Cow::Borrowed(text) };
    let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
    let separator = if scheme.is_empty() { "" } else { "://" };
    Cow::Owned(format!("{scheme}{separator}***@{host}"))
}

/// Whether the text is a host name, an IPv4 address, or an IPv6 address in brackets.
fn is_host(text: &str) -> bool {
    if let Some(address) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let last = text.rsplit('.').next().unwrap_or_default();
    if !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()) {
        // Clients treat a host whose last label is a number as an IPv4 address.
        return text.parse::<std::net::Ipv4Addr>().is_ok();
    }
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    text.split('.').all(|label| !label.is_empty() && label.bytes().all(is_allowed))
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_endpoints_are_normalized() {
        for (text, url) in [
            ("http://minio:9000", "http://minio:9000"),
            ("http://minio:9000/", "http://minio:9000"),
            ("HTTPS://S3.Example.COM/Base/", "https://s3.example.com/Base/"),
            ("https://s3.example/a/b", "https://s3.example/a/b/"),
            ("http://[::1]:9000", "http://[::1]:9000"),
            ("http://[2001:DB8::1]/x", "http://[2001:db8::1]/x/"),
            ("http://127.0.0.1", "http://127.0.0.1"),
            ("http://minio:09000", "http://minio:9000"),
            ("http://[::1]:00080/x", "http://[::1]:80/x/"),
        ] {
            assert_eq!(text.parse::<EndpointUrl>().unwrap().to_string(), url, "{text}");
        }
    }

    #[test]
    fn ip_address_hosts_are_recognized() {
        for (text, is) in [
            ("http://127.0.0.1:9000", true),
            ("https://10.0.0.7/base", true),
            ("http://[::1]:9000/base", true),
            ("http://[2001:db8::1]", true),
            ("http://minio:9000", false),
            ("https://s3.example/10.0.0.7", false),
        ] {
            assert_eq!(text.parse::<EndpointUrl>().unwrap().is_ip_address(), is, "{text}");
        }
    }

    #[test]
    fn invalid_endpoints_are_rejected() {
        for text in [
            "",
            "minio:9000",
            "ftp://x",
            "http://",
            "http://u:p@x",
            "http://x?y",
            "http://x#y",
            "http://x/../y",
            "http://x/a b",
            "http://x/%2e",
            "http://x:0",
            "http://x:",
            "http://x:99999",
            "http://x..y",
            "http://[::1",
            "http://[fe80::1%25eth0]",
            "http://::1",
            "http://*",
            "http://1.2.3.400",
            "http://127.1",
        ] {
            assert!(text.parse::<EndpointUrl>().is_err(), "{text:?}");
        }
    }

    /// Found by the fuzz target `config`.
    #[test]
    fn password_in_endpoint_is_redacted() {
        for text in [
            "https://user:pa55word@s3.example",
            "user:pa55word@s3.example:9000",
            "https://user:pa55word/x@y@s3.example",
            "://pa55word@",
        ] {
            assert_eq!(text.parse::<EndpointUrl>(), Err(EndpointUrlError));
            assert!(!EndpointUrlError.to_string().contains("pa55word"));
            let shown = mask_user(text);
            assert!(shown.contains("***@") && !shown.contains("pa55word"), "{shown}");
        }
    }

    #[test]
    fn settings_take_precedence_over_defaults() {
        let defaults = EndpointDefaults {
            region: Some("eu-west-1".parse().unwrap()),
            endpoint: Some("http://default".parse().unwrap()),
            fips: Some(true),
            dual_stack: Some(true),
            use_arn_region: Some(false),
            disable_session_auth: Some(true),
        };
        let set = EndpointRules {
            region: Some("us-east-1".parse().unwrap()),
            endpoint: Some("http://set".parse().unwrap()),
            fips: Some(false),
            dual_stack: Some(false),
            use_arn_region: Some(true),
            disable_session_auth: Some(false),
            ..EndpointRules::default()
        };
        assert_eq!(set.clone().with_defaults(&defaults), set);
        let EndpointDefaults { region, endpoint, fips, dual_stack, use_arn_region, disable_session_auth } =
            defaults.clone();
        let all = EndpointRules {
            region,
            endpoint,
            fips,
            dual_stack,
            use_arn_region,
            disable_session_auth,
            ..EndpointRules::default()
        };
        assert_eq!(EndpointRules::default().with_defaults(&defaults), all);
        let force_aws = EndpointRules { force_aws: true, ..EndpointRules::default() };
        assert_eq!(
            force_aws.with_defaults(&defaults),
            EndpointRules { force_aws: true, endpoint: None, ..all }
        );
    }
}
