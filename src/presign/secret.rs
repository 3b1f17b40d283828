//! Texts that are secret. The home of subtle.

use std::fmt;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// A text that is never printed and is wiped from memory when it is dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text itself: for signing and for nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether another text is the same. Texts of one length take the same time, wherever they differ.
    pub(crate) fn is(&self, other: &str) -> bool {
        self.0.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_equal_text_is_the_same() {
        let secret = Secret::from("a secret".to_owned());
        assert!(secret.is("a secret"));
        for other in ["", "a secre", "a secrets", "A secret", "a secreT"] {
            assert!(!secret.is(other), "{other:?}");
        }
        assert!(Secret::from(String::new()).is(""));
    }
}
