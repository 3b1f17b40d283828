//! The error document that S3 answered with. The only home of aws-smithy-xml, which reads S3's answers in AWS's SDK too.
//!
//! Source: [Error responses](https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html). `CanonicalRequest` and
//! `StringToSign` are in that of `SignatureDoesNotMatch`.

use std::borrow::Cow;

use aws_smithy_xml::decode::{Document, try_data};

use super::compare::CanonicalParts;
use crate::presign::parameters::is_token;

/// What S3 answered.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) struct ErrorBody {
    pub(super) code: String,
    pub(super) message: String,
    /// The region that S3 expected in the scope.
    pub(super) region: Option<String>,
    /// The host that S3 redirects to.
    endpoint: Option<String>,
    /// When S3 answered.
    server_time: Option<String>,
    headers_not_signed: Option<String>,
    access_key_id: Option<String>,
    signature_provided: Option<String>,
    canonical_request: Option<String>,
}

/// What S3's refusal is about.
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
    /// Parses a document; None when it is not an error of S3. Text before it is skipped: browsers show a sentence of their
    /// own there, which is copied with it.
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

    /// Whether S3 answered another request.
    pub(super) fn is_about_other_request(&self, access_key_id: &str, signature: &str) -> bool {
        let other = |said: &Option<String>, ours: &str| said.as_deref().is_some_and(|said| said != ours);
        other(&self.access_key_id, access_key_id) || other(&self.signature_provided, signature)
    }

    /// What S3 received.
    pub(super) fn received(&self) -> Option<CanonicalParts> {
        CanonicalParts::parse(self.canonical_request.as_deref()?)
    }

    /// What the refusal is about.
    ///
    /// Source: [Error codes](https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList), and for
    /// expired and early URLs, which have no code of their own, the message that S3 sends with `AccessDenied`.
    pub(super) fn refusal(&self) -> RefusalKind {
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

    /// Whether S3 redirects this request only, and not later ones.
    pub(super) fn is_temporary_redirect(&self) -> bool {
        self.code == "TemporaryRedirect"
    }

    /// The host that S3 redirects to, if it is well-formed.
    pub(super) fn endpoint(&self) -> Option<&str> {
        let may_be = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
        let is_host = |host: &&str| (1..=255).contains(&host.len()) && host.bytes().all(may_be);
        self.endpoint.as_deref().map(str::trim).filter(is_host)
    }

    /// The time of S3's clock, if it is well-formed.
    pub(super) fn server_time(&self) -> Option<&str> {
        let may_be = |byte: u8| byte.is_ascii_digit() || b"TZ:.+-".contains(&byte);
        let is_time = |time: &&str| (1..=40).contains(&time.len()) && time.bytes().all(may_be);
        self.server_time.as_deref().map(str::trim).filter(is_time)
    }

    /// The names of headers that were sent and are not signed.
    pub(super) fn headers_not_signed(&self) -> Vec<&str> {
        let names = self.headers_not_signed.as_deref().unwrap_or_default().split([',', ' ', '\n']);
        names.filter(|name| !name.is_empty() && name.bytes().all(is_token)).collect()
    }

    /// The code without characters that no code has.
    pub(super) fn shown_code(&self) -> String {
        self.code.chars().filter(char::is_ascii_alphanumeric).take(64).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_elements_of_an_error_are_read_with_their_entities() {
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
        assert_eq!(body.refusal(), RefusalKind::Signature);
        let received = body.received().unwrap();
        assert_eq!(received.text(), "GET\n/a\nx=1&y=2\nhost:h\n\nhost\nUNSIGNED-PAYLOAD");
        assert!(!body.is_about_other_request("AKID", "ab"));
        assert!(body.is_about_other_request("AKID", "cd") && body.is_about_other_request("OTHER", "ab"));
    }

    #[test]
    fn what_a_browser_shows_before_the_document_is_left_aside() {
        let chrome = "This XML file does not appear to have any style information associated with it. The document tree \
            is shown below.\n<Error>\n<Code>AccessDenied</Code>\n<Message>Request has expired</Message>\n</Error>";
        for text in [
            chrome.to_owned(),
            format!("\u{feff}<?xml version=\"1.0\"?>\n{}", &chrome[chrome.find('<').unwrap()..]),
        ] {
            assert_eq!(
                ErrorBody::parse(&text).map(|body| body.refusal()),
                Some(RefusalKind::Expired),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_error_document_is_told() {
        for text in
            ["", "<html></html>", "<Error></Error>", "{}", "<Error><Code>", "<Error><Code>a&b</Code></Error>"]
        {
            assert!(ErrorBody::parse(text).is_none_or(|body| body.code == "a"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(text in any::<String>(), tags in "[<>/a!?&;\\[\\]\"=' -]{0,40}") {
            ErrorBody::parse(&text);
            ErrorBody::parse(&tags);
            if let Some(body) = ErrorBody::parse(&format!("<Error><Code>x</Code>{tags}</Error>")) {
                body.received();
            }
        }
    }
}
