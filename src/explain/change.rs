//! What can differ between two requests, and the sentence for it.

/// Between which two a change happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// Another request was signed than is used: a signature proves it.
    SignedAndUsed,
    /// S3 received another request than was used, by what it says itself.
    UsedAndReceived,
    /// S3 received another request than was signed: a signature proves the one, S3 says the other.
    SignedAndReceived,
}

impl Way {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::SignedAndUsed => ("was signed", "is used"),
            Self::UsedAndReceived => ("was sent", "arrived at S3"),
            Self::SignedAndReceived => ("was signed", "arrived at S3"),
        }
    }
}

/// What differs between two requests. What is shown of values is fit to be shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// The HTTP method.
    Method,
    /// `%` became `%25`.
    EncodedTwice,
    /// `%25` became `%`.
    Decoded,
    /// A space became a plus.
    PlusForSpace,
    /// A plus was read as a space.
    PlusReadAsSpace,
    /// Slashes or dot segments were folded.
    PathNormalised,
    /// Slashes came into the path.
    SlashAdded,
    /// The path otherwise.
    Path,
    /// The host or its port.
    Host,
    /// A signed header is not there.
    HeaderMissing(String),
    /// A signed header has another value.
    Header(String),
    /// Query parameters were added.
    ParametersAdded,
    /// Query parameters were dropped.
    ParametersDropped,
    /// A query parameter has another value.
    Parameter(String),
    /// Region or service of the credential scope.
    Scope,
    /// The session token is not there.
    TokenMissing,
    /// Another session token.
    Token,
    /// The list of signed headers.
    SignedHeaders,
    /// The hash of the payload.
    Payload,
}

/// What happened, told with how it was and how it is.
pub(super) fn sentence(change: &Change, way: Way, before: &str, after: &str) -> String {
    let (was, is) = way.words();
    let what = match change {
        Change::Method => "the method differs",
        Change::EncodedTwice => "the object key was encoded twice",
        Change::Decoded => "the path was decoded on the way",
        Change::PlusForSpace => "a + stands in the place of a space (write %20)",
        Change::PlusReadAsSpace => "a + was read as a space (write %2B)",
        Change::PathNormalised => "the path was normalised on the way (// or dot segments)",
        Change::SlashAdded => "a / too many is in the path",
        Change::Path => "the path differs",
        Change::Host => "the host differs",
        Change::Scope => "the credential scope (region or service) differs from the one signed",
        Change::SignedHeaders => "X-Amz-SignedHeaders differs",
        Change::Payload => "the hash of the payload differs",
        Change::HeaderMissing(name) => {
            return format!("the signed header {name} is missing: {name}: {before} {was}");
        }
        Change::Header(name) => {
            return format!("{name} differs from the one signed: {before:?} {was}, {after:?} {is}");
        }
        Change::ParametersAdded => return format!("query parameters were added on the way: {after}"),
        Change::ParametersDropped => return format!("query parameters were dropped on the way: {before}"),
        Change::Parameter(name) => {
            return format!("the query parameter {name} differs: {before:?} {was}, {after:?} {is}");
        }
        Change::TokenMissing => {
            return format!("the session token is missing: the URL {was} with X-Amz-Security-Token");
        }
        Change::Token => return format!("the session token differs from the one that {was}"),
    };
    format!("{what}: {before} {was}, {after} {is}")
}
