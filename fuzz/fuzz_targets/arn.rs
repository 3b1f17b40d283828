//! ARNs: an accepted ARN has one canonical form, which parses to the same ARN; a rejected one gets a message that is safe to
//! show.

#![no_main]

use std::{fmt, str::FromStr};

use libfuzzer_sys::{Corpus, fuzz_target};
use presignd::{credentials::roles::RoleArn, presign::arn::Arn};
use presignd_fuzz::assert_safe_to_show;

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = str::from_utf8(data) else { return Corpus::Reject };
    match text.parse::<Arn>() {
        Ok(Arn::ObjectLambda(arn)) => assert_canonical_form(text, &Arn::ObjectLambda(arn.clone()), &arn),
        Ok(Arn::AccessPoint(arn)) => assert_canonical_form(text, &Arn::AccessPoint(arn.clone()), &arn),
        Ok(Arn::MultiRegionAccessPoint(arn)) => {
            assert_canonical_form(text, &Arn::MultiRegionAccessPoint(arn.clone()), &arn);
        }
        Ok(Arn::Outposts(arn)) => assert_canonical_form(text, &Arn::Outposts(arn.clone()), &arn),
        Err(error) => assert_safe_to_show(&error.to_string()),
    }
    if let Ok(role) = text.parse::<RoleArn>() {
        // A role ARN has only one form, and is sent to STS unchanged.
        assert_eq!(role.to_string(), text);
        assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text:?}");
        assert_eq!(RoleArn::from_str(&role.to_string()), Ok(role));
    }
    Corpus::Keep
});

/// Asserts that the canonical form parses to the same ARN, and differs from the input only in the separators of the
/// resource.
fn assert_canonical_form(text: &str, arn: &Arn, canonical: &impl fmt::Display) {
    let canonical = canonical.to_string();
    assert_eq!(Arn::from_str(&canonical).as_ref(), Ok(arn));
    let resource_at = text.match_indices(':').nth(4).map_or(text.len(), |(at, _)| at + 1);
    let (prefix, resource) = text.split_at(resource_at);
    assert_eq!(canonical, format!("{prefix}{}", resource.replace(':', "/")));
    assert!(canonical.bytes().all(|byte| byte.is_ascii_graphic()), "{canonical:?}");
}
