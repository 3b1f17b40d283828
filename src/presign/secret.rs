//! Secret texts. The only module that uses subtle.

use std::fmt;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// A text that is never printed, and is wiped from memory when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text itself, only for signing.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether another text is equal, in constant time for texts of the same length.
    pub(crate) fn equals(&self, other: &str) -> bool {
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
    fn only_the_same_text_is_equal() {
        let secret = Secret::from("a secret".to_owned());
        assert!(secret.equals("a secret"));
        for other in ["", "a secre", "a secrets", "A secret", "a secreT"] {
            assert!(!secret.equals(other), "{other:?}");
        }
        assert!(Secret::from(String::new()).equals(""));
    }
}
