//! A target with its endpoint, resolved once and cached.

use super::{
    endpoint::{self, Endpoint, EndpointRules},
    error::Error,
    target::Target,
};

/// A target, and its endpoint under a signer's rules.
#[derive(Debug)]
pub struct ResolvedTarget {
    target: Target,
    endpoint: Endpoint,
}

impl ResolvedTarget {
    pub(super) fn new(bucket: &str, rules: &EndpointRules) -> Result<Self, Error> {
        let target: Target = bucket.parse()?;
        let endpoint = endpoint::resolve(&target, rules)?;
        Ok(Self { target, endpoint })
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }
}
