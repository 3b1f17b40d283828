//! ARNs: what is accepted has one spelling, which is the same ARN; what is refused is refused with a message that can be
//! shown.

#![no_main]

use std::{fmt, str::FromStr};

use libfuzzer_sys::{Corpus, fuzz_target};
use presignd::{credentials::roles::RoleArn, presign::arn::Arn};
use presignd_fuzz::assert_can_be_shown;

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = str::from_utf8(data) else { return Corpus::Reject };
    match text.parse::<Arn>() {
        Ok(Arn::ObjectLambda(arn)) => assert_one_spelling(text, &Arn::ObjectLambda(arn.clone()), &arn),
        Ok(Arn::AccessPoint(arn)) => assert_one_spelling(text, &Arn::AccessPoint(arn.clone()), &arn),
        Ok(Arn::MultiRegionAccessPoint(arn)) => {
            assert_one_spelling(text, &Arn::MultiRegionAccessPoint(arn.clone()), &arn);
        }
        Ok(Arn::Outposts(arn)) => assert_one_spelling(text, &Arn::Outposts(arn.clone()), &arn),
        Err(error) => assert_can_be_shown(&error.to_string()),
    }
    if let Ok(role) = text.parse::<RoleArn>() {
        // It has no other spelling than the one that was given, and goes into a request to STS as it is.
        assert_eq!(role.to_string(), text);
        assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text:?}");
        assert_eq!(RoleArn::from_str(&role.to_string()), Ok(role));
    }
    Corpus::Keep
});

/// The canonical spelling parses to the same ARN, and differs from the given one in separators of the resource alone.
fn assert_one_spelling(text: &str, arn: &Arn, canonical: &impl fmt::Display) {
    let canonical = canonical.to_string();
    assert_eq!(Arn::from_str(&canonical).as_ref(), Ok(arn));
    let resource_at = text.match_indices(':').nth(4).map_or(text.len(), |(at, _)| at + 1);
    let (place, resource) = text.split_at(resource_at);
    assert_eq!(canonical, format!("{place}{}", resource.replace(':', "/")));
    assert!(canonical.bytes().all(|byte| byte.is_ascii_graphic()), "{canonical:?}");
}
