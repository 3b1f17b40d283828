//! What bears on the endpoint: what an operator set for a signer, and what was found where nothing was set.

use std::{borrow::Cow, fmt, str::FromStr};

use thiserror::Error;

use crate::presign::name::Region;

/// What an operator set for a signer that bears on the endpoint. What is left out here may be [`EndpointDefaults`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EndpointRules {
    /// The region of targets that do not name their own.
    pub region: Option<Region>,
    /// An S3-compatible server, or a private link, in the place of AWS's own endpoint.
    pub endpoint: Option<EndpointUrl>,
    /// AWS's own endpoints, whatever was found; `endpoint` is left out then.
    pub at_aws: bool,
    /// Another name for `endpoint`, by which the URL's user reaches it: when it is set, the URL has it.
    pub public_endpoint: Option<EndpointUrl>,
    /// How the bucket is put into the URL.
    pub addressing: Addressing,
    /// AWS's FIPS endpoints. Unset: no.
    pub fips: Option<bool>,
    /// AWS's endpoints for IPv4 and IPv6. Unset: no.
    pub dual_stack: Option<bool>,
    /// S3 Transfer Acceleration.
    pub accelerate: Option<bool>,
    /// Whether an ARN may name another region than the signer's. Unset: yes.
    pub use_arn_region: Option<bool>,
    /// Whether directory buckets are signed for with the signer's own credentials, without a session. Unset: no.
    pub disable_session_auth: Option<bool>,
    /// SigV4A wherever the target takes it, which beside Multi-Region Access Points is S3 on Outposts. Unset: no.
    pub sigv4a: Option<bool>,
}

/// What the AWS SDKs would find beside the credentials: in the environment and in the profile.
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
    /// These rules, with what was found where they say nothing.
    #[must_use]
    pub fn or(self, found: &EndpointDefaults) -> Self {
        Self {
            region: self.region.or_else(|| found.region.clone()),
            endpoint: self.endpoint.or_else(|| found.endpoint.clone().filter(|_| !self.at_aws)),
            fips: self.fips.or(found.fips),
            dual_stack: self.dual_stack.or(found.dual_stack),
            use_arn_region: self.use_arn_region.or(found.use_arn_region),
            disable_session_auth: self.disable_session_auth.or(found.disable_session_auth),
            ..self
        }
    }

    /// The endpoint that the URL has, where it is not one of AWS.
    pub fn in_url(&self) -> Option<&EndpointUrl> {
        self.public_endpoint.as_ref().or(self.endpoint.as_ref())
    }
}

/// How a bucket is put into the URL.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Addressing {
    /// `BUCKET.host`, except where it cannot be: a dot in the name under TLS, capitals, an IP address.
    #[default]
    VirtualHost,
    /// `host/BUCKET`, always.
    Path,
}

/// An endpoint given by the operator: `http` or `https`, a host, perhaps a port and a base path. Scheme and host are in
/// lower case, as clients send them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EndpointUrl(String);

impl EndpointUrl {
    /// Whether the host is an IP address, in front of which no name can stand.
    pub fn is_ip_address(&self) -> bool {
        let authority = self.0.split('/').nth(2).unwrap_or_default();
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        authority.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok()
    }
}

/// A text that is not an endpoint, which this sentence completes: "it must be …". The text is not in it: a password may be
/// in that.
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
        let plain = uri.query().is_none() && !text.contains('#') && !authority.as_str().contains('@');
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => String::new(),
            // Without zeros in front, as clients send it.
            Some(_) => format!(":{}", authority.port_u16().filter(|port| *port > 0).ok_or(EndpointUrlError)?),
            None => return Err(EndpointUrlError),
        };
        let path_fits = uri.path().bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~/".contains(&b))
            && !uri.path().split('/').any(|part| part == "." || part == "..");
        if plain && path_fits && is_host(authority.host()) {
            let base = uri.path().trim_end_matches('/');
            // The rules put the bucket right behind a base path: it needs its slash.
            let slash = if base.is_empty() { "" } else { "/" };
            Ok(Self(format!("{scheme}://{}{port}{base}{slash}", authority.host().to_ascii_lowercase())))
        } else {
            Err(EndpointUrlError)
        }
    }
}

/// A text that should be an endpoint, fit to be shown: a user and a password in front of the host are left out.
pub fn without_user(text: &str) -> Cow<'_, str> {
    let Some((before, host)) = text.rsplit_once('@') else { return Cow::Borrowed(text) };
    let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
    let separator = if scheme.is_empty() { "" } else { "://" };
    Cow::Owned(format!("{scheme}{separator}***@{host}"))
}

/// A name, an IPv4 address, or an IPv6 address in brackets.
fn is_host(text: &str) -> bool {
    if let Some(address) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let last = text.rsplit('.').next().unwrap_or_default();
    if !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()) {
        // What ends in a number is an address to every client.
        return text.parse::<std::net::Ipv4Addr>().is_ok();
    }
    let of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    text.split('.').all(|label| !label.is_empty() && label.bytes().all(of_a_name))
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
    fn an_endpoint_is_taken_with_port_base_path_and_ipv6_and_its_host_in_lower_case() {
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
    fn an_endpoint_tells_whether_its_host_is_an_ip_address() {
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
    fn a_text_that_is_no_endpoint_is_refused() {
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
    fn a_password_in_an_endpoint_is_not_repeated() {
        for text in [
            "https://user:pa55word@s3.example",
            "user:pa55word@s3.example:9000",
            "https://user:pa55word/x@y@s3.example",
            "://pa55word@",
        ] {
            assert_eq!(text.parse::<EndpointUrl>(), Err(EndpointUrlError));
            assert!(!EndpointUrlError.to_string().contains("pa55word"));
            let shown = without_user(text);
            assert!(shown.contains("***@") && !shown.contains("pa55word"), "{shown}");
        }
    }

    #[test]
    fn what_is_set_comes_before_what_is_found() {
        let found = EndpointDefaults {
            region: Some("eu-west-1".parse().unwrap()),
            endpoint: Some("http://found".parse().unwrap()),
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
        assert_eq!(set.clone().or(&found), set);
        let EndpointDefaults { region, endpoint, fips, dual_stack, use_arn_region, disable_session_auth } =
            found.clone();
        let all = EndpointRules {
            region,
            endpoint,
            fips,
            dual_stack,
            use_arn_region,
            disable_session_auth,
            ..EndpointRules::default()
        };
        assert_eq!(EndpointRules::default().or(&found), all);
        let at_aws = EndpointRules { at_aws: true, ..EndpointRules::default() };
        assert_eq!(at_aws.or(&found), EndpointRules { at_aws: true, endpoint: None, ..all });
    }
}
