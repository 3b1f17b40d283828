//! A difference between two versions of a request, and the sentence for it.

/// Which two versions of a request are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ComparedPair {
    /// The signed request, which its signature proves, and the request given to explain.
    SignedAndUsed,
    /// The request given to explain, and the one that S3 reports to have received.
    UsedAndReceived,
    /// The signed request, which its signature proves, and the one that S3 reports to have received.
    SignedAndReceived,
}

impl ComparedPair {
    /// The words before the two values.
    fn labels(self) -> (&'static str, &'static str) {
        match self {
            Self::SignedAndUsed => ("signed", "sent"),
            Self::UsedAndReceived => ("sent", "S3 received"),
            Self::SignedAndReceived => ("signed", "S3 received"),
        }
    }

    /// Whether the first version is the signed one: then the caller can restore it.
    fn has_signed_version(self) -> bool {
        matches!(self, Self::SignedAndUsed | Self::SignedAndReceived)
    }
}

/// What differs between two versions of a request. No secret is in a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// The HTTP method.
    Method,
    /// `%` became `%25` in the path.
    EncodedTwice,
    /// `%25` became `%` in the path.
    Decoded,
    /// A space became a plus.
    PlusForSpace,
    /// A plus was read as a space.
    PlusReadAsSpace,
    /// Slashes or dot segments were removed from the path.
    PathNormalised,
    /// Slashes were added to the path.
    SlashAdded,
    /// The path, in another way.
    Path,
    /// The host or its port.
    Host,
    /// A signed header is missing.
    HeaderMissing(String),
    /// A signed header has another value.
    Header(String),
    /// Query parameters were added.
    ParametersAdded,
    /// Query parameters were removed.
    ParametersDropped,
    /// A query parameter has another value.
    Parameter(String),
    /// Region or service of the credential scope.
    Scope,
    /// The session token is missing.
    TokenMissing,
    /// The session token was encoded once more.
    TokenEncodedTwice,
    /// A plus in the session token was read as a space.
    TokenPlusReadAsSpace,
    /// The session token, in another way.
    Token,
    /// The list of signed headers.
    SignedHeaders,
    /// The hash of the payload.
    Payload,
}

/// The remedy for what some software changed in a signed URL.
const UNCHANGED: &str = "use the URL exactly as signed";

/// The sentence for a change: what differs, how to correct it, both values.
pub(super) fn describe_change(change: &Change, pair: ComparedPair, before: &str, after: &str) -> String {
    let (was, is) = pair.labels();
    let is_signed = pair.has_signed_version();
    let values = format!("{was} {before}, {is} {after}");
    let quoted = format!("{was} {before:?}, {is} {after:?}");
    let with_remedy = |problem: &str, remedy: &str| {
        if is_signed { format!("{problem}: {remedy} ({values})") } else { format!("{problem}: {values}") }
    };
    match change {
        Change::Method => format!("the method differs: {values}"),
        Change::EncodedTwice => with_remedy("the object key was encoded twice", UNCHANGED),
        Change::Decoded => with_remedy("the path was decoded", UNCHANGED),
        Change::PlusForSpace => with_remedy("a space was written as +", "write %20"),
        Change::PlusReadAsSpace => with_remedy("a + was read as a space", "write %2B"),
        Change::PathNormalised => with_remedy("// or dot segments were removed from the path", UNCHANGED),
        Change::SlashAdded => with_remedy("the path has an extra /", "remove it"),
        Change::Path => format!("the path differs: {values}"),
        Change::Host => with_remedy("the host differs", "send the signed one as Host"),
        Change::HeaderMissing(name) if is_signed => {
            format!("the signed header {name} is missing: send \"{name}: {before}\"")
        }
        Change::HeaderMissing(name) => {
            format!("the signed header {name} is missing: sent {before:?}, S3 did not receive it")
        }
        Change::Header(name) if is_signed => format!("{name} differs from the one signed: {quoted}"),
        Change::Header(name) => format!("{name} differs: {quoted}"),
        Change::ParametersAdded if is_signed => {
            format!("query parameters were added after signing, remove them: {after}")
        }
        Change::ParametersAdded => format!("S3 received query parameters that were not sent: {after}"),
        Change::ParametersDropped if is_signed => {
            format!("query parameters were removed after signing, restore them: {before}")
        }
        Change::ParametersDropped => format!("S3 did not receive all query parameters, it lacks: {before}"),
        Change::Parameter(name) => format!("the query parameter {name} differs: {quoted}"),
        Change::Scope => format!("the credential scope (region or service) differs: {values}"),
        Change::TokenMissing if is_signed => {
            "the session token is missing: the URL was signed with X-Amz-Security-Token, use the whole URL"
                .to_owned()
        }
        Change::TokenMissing => "the session token is missing: it was sent, S3 did not receive it".to_owned(),
        Change::TokenEncodedTwice => format!("the session token was encoded twice: {UNCHANGED}"),
        Change::TokenPlusReadAsSpace => "a + in the session token was read as a space: write %2B".to_owned(),
        Change::Token if is_signed => format!("the session token differs from the one signed: {UNCHANGED}"),
        Change::Token => "the session token differs from the one sent".to_owned(),
        Change::SignedHeaders => format!("X-Amz-SignedHeaders differs: {values}"),
        Change::Payload => format!("the payload hash (x-amz-content-sha256) differs: {values}"),
    }
}
