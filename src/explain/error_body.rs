//! The error document in S3's answer. Only this file uses aws-smithy-xml, which AWS's SDK uses for the same.
//!
//! Source: [Error responses](https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html). `CanonicalRequest` and
//! `StringToSign` are in the one for `SignatureDoesNotMatch`.

use std::borrow::Cow;

use aws_smithy_xml::decode::{Document, try_data};

use super::canonical::CanonicalParts;
use crate::presign::parameters::is_token;

/// The elements of an error document. A missing one is empty or None.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) struct ErrorBody {
    pub(super) code: String,
    pub(super) message: String,
    /// The region that S3 expected in the scope.
    pub(super) region: Option<String>,
    /// The host that S3 redirects to.
    endpoint: Option<String>,
    /// The time of S3's clock.
    server_time: Option<String>,
    headers_not_signed: Option<String>,
    access_key_id: Option<String>,
    signature_provided: Option<String>,
    canonical_request: Option<String>,
}

/// Why S3 rejects a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RefusalKind {
    Signature,
    Expired,
    NotYetValid,
    TokenExpired,
    TokenInvalid,
    AccessKey,
    Region,
    /// The authentication parameters, for another reason than the region.
    Parameters,
    HeadersNotSigned,
    NoSuchKey,
    Other,
}

impl ErrorBody {
    /// Parses a document; None when it is not an error document of S3. Skips text before it: browsers show a sentence there,
    /// which users copy with it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let start = ["<?xml", "<Error"].iter().filter_map(|start| text.find(start)).min()?;
        let mut document = Document::new(text[start..].trim());
        let mut root = document.root_element().ok().filter(|root| root.start_el().local() == "Error")?;
        let mut body = Self::default();
        while let Some(mut tag) = root.next_tag() {
            let name = tag.start_el().local().to_owned();
            let mut text = || try_data(&mut tag).ok().map(Cow::into_owned);
            match name.as_str() {
                "Code" => body.code = text()?,
                "Message" => body.message = text()?,
                "Region" => body.region = text(),
                "Endpoint" => body.endpoint = text(),
                "ServerTime" => body.server_time = text(),
                "HeadersNotSigned" => body.headers_not_signed = text(),
                "AWSAccessKeyId" => body.access_key_id = text(),
                "SignatureProvided" => body.signature_provided = text(),
                "CanonicalRequest" => body.canonical_request = text(),
                _ => {}
            }
        }
        (!body.code.is_empty()).then_some(body)
    }

    /// Whether it answers another request than the one with this access key and signature.
    pub(super) fn is_for_other_request(&self, access_key_id: &str, signature: &str) -> bool {
        let differs =
            |reported: &Option<String>, known: &str| reported.as_deref().is_some_and(|text| text != known);
        differs(&self.access_key_id, access_key_id) || differs(&self.signature_provided, signature)
    }

    /// The canonical request that S3 computed from the request it received.
    pub(super) fn received_request(&self) -> Option<CanonicalParts> {
        CanonicalParts::parse(self.canonical_request.as_deref()?)
    }

    /// Why S3 rejects the request.
    ///
    /// Source: [Error codes](https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList), and, for
    /// URLs that are expired or not yet valid and for unsigned headers, the message that S3 sends with `AccessDenied`.
    pub(super) fn refusal_kind(&self) -> RefusalKind {
        let says = |text: &str| self.message.to_ascii_lowercase().contains(text);
        match self.code.as_str() {
            "SignatureDoesNotMatch" => RefusalKind::Signature,
            "AccessDenied" | "RequestExpired" if says("has expired") => RefusalKind::Expired,
            "AccessDenied" if says("not yet valid") || says("not valid yet") => RefusalKind::NotYetValid,
            "AccessDenied" if says("were not signed") => RefusalKind::HeadersNotSigned,
            "RequestTimeTooSkewed" => RefusalKind::NotYetValid,
            "ExpiredToken" | "ExpiredTokenException" => RefusalKind::TokenExpired,
            "InvalidToken" => RefusalKind::TokenInvalid,
            "InvalidAccessKeyId" => RefusalKind::AccessKey,
            "AuthorizationQueryParametersError" | "AuthorizationHeaderMalformed"
                if self.region.is_some() || says("region") =>
            {
                RefusalKind::Region
            }
            "AuthorizationQueryParametersError" | "AuthorizationHeaderMalformed" => RefusalKind::Parameters,
            "PermanentRedirect" | "TemporaryRedirect" => RefusalKind::Region,
            "NoSuchKey" => RefusalKind::NoSuchKey,
            _ => RefusalKind::Other,
        }
    }

    /// Whether the redirect is temporary.
    pub(super) fn is_temporary_redirect(&self) -> bool {
        self.code == "TemporaryRedirect"
    }

    /// The host that S3 redirects to. None when it is malformed.
    pub(super) fn endpoint(&self) -> Option<&str> {
        let may_be = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
        let is_host = |host: &&str| (1..=255).contains(&host.len()) && host.bytes().all(may_be);
        self.endpoint.as_deref().map(str::trim).filter(is_host)
    }

    /// The time of S3's clock, as S3 wrote it. None when it is malformed.
    pub(super) fn server_time(&self) -> Option<&str> {
        let may_be = |byte: u8| byte.is_ascii_digit() || b"TZ:.+-".contains(&byte);
        let is_time = |time: &&str| (1..=40).contains(&time.len()) && time.bytes().all(may_be);
        self.server_time.as_deref().map(str::trim).filter(is_time)
    }

    /// The names of headers that were sent but not signed.
    pub(super) fn headers_not_signed(&self) -> Vec<&str> {
        let names = self.headers_not_signed.as_deref().unwrap_or_default().split([',', ' ', '\n']);
        names.filter(|name| !name.is_empty() && name.bytes().all(is_token)).collect()
    }

    /// The code, at most 64 letters and digits of it, for a finding.
    pub(super) fn printable_code(&self) -> String {
        self.code.chars().filter(char::is_ascii_alphanumeric).take(64).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn elements_and_entities_are_parsed() {
        let body = ErrorBody::parse(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>SignatureDoesNotMatch</Code>\
             <Message>does &quot;not&quot; match</Message><AWSAccessKeyId>AKID</AWSAccessKeyId>\
             <StringToSign>AWS4</StringToSign><SignatureProvided>ab</SignatureProvided>\
             <CanonicalRequest>GET\n/a\nx=1&amp;y=&#50;\nhost:h\n\nhost\nUNSIGNED-PAYLOAD</CanonicalRequest>\
             <Nested><Code>No</Code></Nested><Empty/><HostId>x</HostId></Error>",
        )
        .unwrap();
        assert_eq!(
            (body.code.as_str(), body.message.as_str()),
            ("SignatureDoesNotMatch", "does \"not\" match")
        );
        assert_eq!(body.refusal_kind(), RefusalKind::Signature);
        let received = body.received_request().unwrap();
        assert_eq!(received.text(), "GET\n/a\nx=1&y=2\nhost:h\n\nhost\nUNSIGNED-PAYLOAD");
        assert!(!body.is_for_other_request("AKID", "ab"));
        assert!(body.is_for_other_request("AKID", "cd") && body.is_for_other_request("OTHER", "ab"));
    }

    #[test]
    fn text_before_the_document_is_skipped() {
        let chrome = "This XML file does not appear to have any style information associated with it. The document tree \
            is shown below.\n<Error>\n<Code>AccessDenied</Code>\n<Message>Request has expired</Message>\n</Error>";
        for text in [
            chrome.to_owned(),
            format!("\u{feff}<?xml version=\"1.0\"?>\n{}", &chrome[chrome.find('<').unwrap()..]),
        ] {
            assert_eq!(
                ErrorBody::parse(&text).map(|body| body.refusal_kind()),
                Some(RefusalKind::Expired),
                "{text}"
            );
        }
    }

    #[test]
    fn text_that_is_not_an_error_document_is_rejected() {
        for text in
            ["", "<html></html>", "<Error></Error>", "{}", "<Error><Code>", "<Error><Code>a&b</Code></Error>"]
        {
            assert!(ErrorBody::parse(text).is_none_or(|body| body.code == "a"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn parsing_any_text_does_not_panic(text in any::<String>(), tags in "[<>/a!?&;\\[\\]\"=' -]{0,40}") {
            ErrorBody::parse(&text);
            ErrorBody::parse(&tags);
            if let Some(body) = ErrorBody::parse(&format!("<Error><Code>x</Code>{tags}</Error>")) {
                body.received_request();
            }
        }
    }
}
