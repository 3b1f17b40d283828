//! The endpoint defaults: settings for S3 endpoints in the environment and the profile, resolved as by the AWS SDKs.

use aws_types::{SdkConfig, service_config::ServiceConfigKey};

use super::LoadError;
use crate::presign::endpoint::{EndpointDefaults, EndpointRules};

/// The endpoint settings of the operator. Each overrides the environment and the profile, which are not read for it
/// then.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EndpointOverrides {
    /// `signers.NAME.fips`, which also applies to STS.
    pub fips: Option<bool>,
    /// `signers.NAME.dual_stack`, which also applies to STS.
    pub dual_stack: Option<bool>,
    /// Whether `signers.NAME.endpoint` is set.
    pub endpoint: bool,
    /// Whether `signers.NAME.use_arn_region` is set.
    pub use_arn_region: bool,
    /// Whether `signers.NAME.disable_session_auth` is set.
    pub disable_session_auth: bool,
}

impl EndpointOverrides {
    /// The settings that these rules come from.
    pub fn from_rules(rules: &EndpointRules) -> Self {
        Self {
            fips: rules.fips,
            dual_stack: rules.dual_stack,
            endpoint: rules.force_aws || rules.endpoint.is_some(),
            use_arn_region: rules.use_arn_region.is_some(),
            disable_session_auth: rules.disable_session_auth.is_some(),
        }
    }
}

/// Resolves the endpoint defaults. A value that is overridden is not read, so an invalid one causes no error.
///
/// The endpoint for S3 (`AWS_ENDPOINT_URL_S3`, or `services` in the profile) comes before the endpoint for all
/// services.
///
/// Source: [Settings reference](https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html).
///
/// # Errors
/// If a value is invalid.
pub(super) fn resolve(sdk: &SdkConfig, overrides: EndpointOverrides) -> Result<EndpointDefaults, LoadError> {
    let text = |env: &'static str, profile: &'static str| {
        let key = ServiceConfigKey::builder().service_id("S3").env(env).profile(profile).build().ok()?;
        sdk.service_config()?.load_config(key).filter(|text| !text.trim().is_empty())
    };
    let flag = |is_overridden: bool, variable, profile_setting| match text(variable, profile_setting)
        .filter(|_| !is_overridden)
    {
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
        Some(_) => Err(LoadError::Setting { variable, profile_setting, expected: "true or false" }),
        None => Ok(None),
    };
    let endpoint = text("AWS_ENDPOINT_URL", "endpoint_url").filter(|_| !overrides.endpoint);
    let region = sdk.region().map(|region| region.as_ref().parse()).transpose();
    Ok(EndpointDefaults {
        region: region.map_err(|_| LoadError::Setting {
            variable: "AWS_REGION or AWS_DEFAULT_REGION",
            profile_setting: "region",
            expected: "an AWS region such as us-east-1",
        })?,
        endpoint: endpoint.map(|text| text.parse()).transpose().map_err(|_| LoadError::Setting {
            variable: "AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL",
            profile_setting: "endpoint_url",
            expected: "an endpoint such as http://HOST[:PORT][/BASE] or https://HOST[:PORT][/BASE]",
        })?,
        fips: flag(overrides.fips.is_some(), "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint")?,
        dual_stack: flag(
            overrides.dual_stack.is_some(),
            "AWS_USE_DUALSTACK_ENDPOINT",
            "use_dualstack_endpoint",
        )?,
        use_arn_region: flag(overrides.use_arn_region, "AWS_S3_USE_ARN_REGION", "s3_use_arn_region")?,
        disable_session_auth: flag(
            overrides.disable_session_auth,
            "AWS_S3_DISABLE_EXPRESS_SESSION_AUTH",
            "s3_disable_express_session_auth",
        )?,
    })
}
