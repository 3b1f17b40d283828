//! What the AWS SDKs read of endpoints in the environment and in the profile.

use aws_types::{SdkConfig, service_config::ServiceConfigKey};

use super::LoadError;
use crate::presign::endpoint::{EndpointDefaults, EndpointRules};

/// What of endpoints the operator set, and what is therefore not looked for elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Given {
    /// `signers.NAME.fips`, which is for STS as well.
    pub fips: Option<bool>,
    /// `signers.NAME.dual_stack`, which is for STS as well.
    pub dual_stack: Option<bool>,
    /// Whether `signers.NAME.endpoint` is set.
    pub endpoint: bool,
    /// Whether `signers.NAME.use_arn_region` is set.
    pub use_arn_region: bool,
    /// Whether `signers.NAME.disable_session_auth` is set.
    pub disable_session_auth: bool,
}

impl Given {
    /// By these rules.
    pub fn by(rules: &EndpointRules) -> Self {
        Self {
            fips: rules.fips,
            dual_stack: rules.dual_stack,
            endpoint: rules.force_aws || rules.endpoint.is_some(),
            use_arn_region: rules.use_arn_region.is_some(),
            disable_session_auth: rules.disable_session_auth.is_some(),
        }
    }
}

/// What the AWS SDKs read for S3 in the environment and in the profile, where no setting says otherwise: what is set is not
/// looked for, so that nothing wrong there is in its way.
///
/// Source: [Settings reference](https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html). The services'
/// own endpoint (`AWS_ENDPOINT_URL_S3`, or `services` in the profile) comes before the one for all of them.
pub(super) fn resolve(sdk: &SdkConfig, given: Given) -> Result<EndpointDefaults, LoadError> {
    let text = |env: &'static str, profile: &'static str| {
        let key = ServiceConfigKey::builder().service_id("S3").env(env).profile(profile).build().ok()?;
        sdk.service_config()?.load_config(key).filter(|text| !text.trim().is_empty())
    };
    let flag = |given: bool, name, profile| match text(name, profile).filter(|_| !given) {
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
        Some(_) => Err(LoadError::Setting { name, expected: "true or false" }),
        None => Ok(None),
    };
    let endpoint = text("AWS_ENDPOINT_URL", "endpoint_url").filter(|_| !given.endpoint);
    let region = sdk.region().map(|region| region.as_ref().parse()).transpose();
    Ok(EndpointDefaults {
        region: region.map_err(|_| LoadError::Setting {
            name: "AWS_REGION, AWS_DEFAULT_REGION or region",
            expected: "a region name, such as us-east-1",
        })?,
        endpoint: endpoint.map(|text| text.parse()).transpose().map_err(|_| LoadError::Setting {
            name: "AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL or endpoint_url",
            expected: "an endpoint: write http://HOST[:PORT][/BASE] or https://…",
        })?,
        fips: flag(given.fips.is_some(), "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint")?,
        dual_stack: flag(given.dual_stack.is_some(), "AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint")?,
        use_arn_region: flag(given.use_arn_region, "AWS_S3_USE_ARN_REGION", "s3_use_arn_region")?,
        disable_session_auth: flag(
            given.disable_session_auth,
            "AWS_S3_DISABLE_EXPRESS_SESSION_AUTH",
            "s3_disable_express_session_auth",
        )?,
    })
}
