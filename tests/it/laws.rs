//! Properties that hold for every input: of lifetimes, URLs and forms.

use std::time::{Duration, SystemTime};

use presignd::{
    pb::{self, GetObject, PresignPostRequest, PutObject, presign_request::Operation},
    presign::expiry::{Bounds, ClampReason, SERVICE_MAXIMUM, Seconds, clamp},
};
use proptest::{collection::btree_map, option, prelude::*};
use serde_json::{Value, json};

use crate::support::{
    OUTPOSTS_ARN,
    grpc::GrpcError,
    in_process::{Case, InProcess, Parts, percent_decoded},
};

const NOW: SystemTime = SystemTime::UNIX_EPOCH;
const YEAR: u64 = 365 * 24 * 3_600;

fn seconds(number: u64) -> Seconds {
    Seconds::rounded_down(Duration::from_secs(number)).expect("at least one second")
}

prop_compose! {
    fn any_bounds()(
        server in 1..YEAR,
        policy in option::of(1..YEAR),
        credentials in option::of(1_000..YEAR * 1_000),
        session in option::of(1_000..YEAR * 1_000),
    ) -> Bounds {
        let end = |left: Option<u64>| left.map(|millis| NOW + Duration::from_millis(millis));
        Bounds { server: seconds(server), policy: policy.map(seconds), credentials: end(credentials), session: end(session) }
    }
}

/// Every bound in whole seconds, with its reason.
fn all_bounds(bounds: &Bounds) -> Vec<(u64, ClampReason)> {
    let left = |end: SystemTime| end.duration_since(NOW).unwrap().as_secs();
    let mut all = vec![
        (SERVICE_MAXIMUM.get(), ClampReason::ServiceMaximum),
        (bounds.server.get(), ClampReason::ServerMaximum),
    ];
    all.extend(bounds.policy.map(|it| (it.get(), ClampReason::PolicyMaximum)));
    all.extend(bounds.credentials.map(|end| (left(end), ClampReason::CredentialExpiry)));
    all.extend(bounds.session.map(|end| (left(end), ClampReason::SessionExpiry)));
    all
}

proptest! {
    #[test]
    fn granted_lifetime_equals_the_lowest_bound(
        requested in 1..YEAR,
        bounds in any_bounds(),
    ) {
        let grant = clamp(seconds(requested), &bounds, NOW).unwrap();
        let granted = grant.granted.get();
        prop_assert!(granted >= 1 && granted <= requested);
        for (bound, _) in all_bounds(&bounds) {
            prop_assert!(granted <= bound);
        }
        match grant.reason {
            ClampReason::None => prop_assert_eq!(granted, requested),
            reason => prop_assert!(all_bounds(&bounds).contains(&(granted, reason)) && granted < requested),
        }
    }

    #[test]
    fn longer_request_is_never_granted_less(requested in 1..YEAR, more in 0..YEAR, bounds in any_bounds()) {
        let shorter = clamp(seconds(requested), &bounds, NOW).unwrap();
        let longer = clamp(seconds(requested + more), &bounds, NOW).unwrap();
        prop_assert!(longer.granted >= shorter.granted);
    }
}

/// Keys with all kinds of characters; those with a meaning in URLs are frequent.
fn any_key() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z/.%+?#&= \\\\@:;,~-]{1,60}",
        "(\\.\\./|\\./|/|//|%2[Ff]|%2e|é|😀|a){1,40}",
        "\\PC{1,80}",
    ]
    .prop_filter("S3 accepts at most 1,024 bytes", |key| key.len() <= 1_024)
}

fn any_bucket() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "plain-bucket",
        "dotted.bucket",
        OUTPOSTS_ARN,
        "arn:aws:s3:eu-west-1:123456789012:accesspoint/reports",
        "test-accessp-o0b1d075431d83bebde8xz5w8ijx1qzlbp3i3kuse10--op-s3",
    ])
}

fn signed(case: &Case) -> presignd::pb::PresignedRequest {
    try_signed(case).unwrap()
}

fn try_signed(case: &Case) -> Result<presignd::pb::PresignedRequest, tonic::Status> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(InProcess::new().presign(case))
}

/// A request with a reuse window, at two times within the window.
#[derive(Debug)]
struct WindowCase {
    window: u64,
    expires_in: u64,
    begins: u64,
    times: [u64; 2],
    credentials_end: Option<u64>,
}

prop_compose! {
    fn any_window()(
        window in prop_oneof![1..=5_u64, 1..=7_200_u64, 1..=700_000_u64],
        more in -100..100_000_i64,
        number in 1..2_000_u64,
        within in (any::<u64>(), any::<u64>()),
        end in option::of(1..200_000_u64),
    ) -> WindowCase {
        let begins = 1_369_353_600 / window * window + number * window;
        let expires_in = window.saturating_add_signed(more).max(1);
        let times = [begins + within.0 % window, begins + within.1 % window];
        WindowCase { window, expires_in, begins, times, credentials_end: end.map(|end| begins + end) }
    }
}

const WEEK: u64 = 7 * 24 * 3_600;

impl WindowCase {
    /// The expected reason: the lowest bound, counted from the beginning of the window, if it is below the request.
    fn clamp_reason(&self) -> pb::ClampReason {
        let allowed = self.expires_in.min(WEEK);
        match self.credentials_end.map(|end| end - self.begins) {
            Some(left) if left < allowed => pb::ClampReason::CredentialExpiry,
            _ if self.expires_in > WEEK => pb::ClampReason::ServiceMaximum,
            _ => pb::ClampReason::None,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn url_in_a_window_is_stable_and_within_credential_expiry(
        asked in any_window(),
        bucket in any_bucket(),
        minimum in option::of(1..100_000_u64),
    ) {
        let mut urls = Vec::new();
        for now in asked.times {
            let case = Case {
                time: now,
                expires_in: asked.expires_in,
                min_expires_in: minimum,
                reuse_window: Some(asked.window),
                credentials_end: asked.credentials_end,
                ..Case::new(bucket, "key", Operation::GetObject(GetObject::default()))
            };
            let last = asked.credentials_end.unwrap_or(u64::MAX).min(asked.begins + asked.expires_in.min(WEEK));
            match try_signed(&case) {
                Ok(presigned) => {
                    let (at, end) = (presigned.signed_at.unwrap().seconds, presigned.expires_at.unwrap().seconds);
                    let granted = presigned.granted.unwrap().seconds;
                    prop_assert_eq!(presigned.requested.unwrap().seconds.unsigned_abs(), asked.expires_in);
                    prop_assert_eq!(presigned.clamp_reason().as_str_name(), asked.clamp_reason().as_str_name());
                    prop_assert_eq!(at.unsigned_abs(), asked.begins);
                    prop_assert_eq!(end, at + granted);
                    prop_assert_eq!(end.unsigned_abs(), last);
                    prop_assert!(last > now);
                    prop_assert!(minimum.is_none_or(|minimum| last - now >= minimum));
                    let parts = Parts::of(&presigned.url);
                    prop_assert_eq!(parts.value("X-Amz-Expires").unwrap(), granted.to_string());
                    urls.push(presigned);
                }
                Err(status) => {
                    let reason = GrpcError::of(&status).reason;
                    let expected = if asked.expires_in.min(WEEK) <= asked.window {
                        reason == "REUSE_WINDOW_TOO_LONG"
                    } else if last <= now {
                        reason == "CREDENTIALS_EXPIRED"
                    } else {
                        reason == "EXPIRY_TOO_SHORT" && minimum.is_some_and(|minimum| last - now < minimum)
                    };
                    prop_assert!(expected, "{} at {} of {:?}", status, now, asked);
                }
            }
        }
        prop_assert!(urls.len() < 2 || urls[0] == urls[1]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn key_is_recovered_from_its_url_and_never_changes_the_host(key in any_key(), bucket in any_bucket()) {
        let get = || Operation::GetObject(GetObject::default());
        let parts = Parts::of(&signed(&Case::new(bucket, &key, get())).url);
        let other = Parts::of(&signed(&Case::new(bucket, "x", get())).url);
        prop_assert_eq!(&parts.origin, &other.origin);
        let base = other.path.strip_suffix('x').unwrap();
        prop_assert_eq!(percent_decoded(parts.path.strip_prefix(base).unwrap()), key);
        prop_assert!(parts.path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~/%".contains(&byte)));
    }

    #[test]
    fn same_request_gives_the_same_url_with_the_signature_last(
        key in any_key(),
        bucket in any_bucket(),
        metadata in btree_map("[a-zA-Z0-9-]{1,10}", "[ -~]{0,20}", 0..4),
    ) {
        let lower: std::collections::BTreeSet<_> = metadata.keys().map(|name| name.to_lowercase()).collect();
        prop_assume!(lower.len() == metadata.len());
        let put = Operation::PutObject(PutObject { metadata, ..Default::default() });
        let case = Case::new(bucket, &key, put);
        let first = signed(&case);
        prop_assert_eq!(&first.url, &signed(&case).url);
        let (_, signature) = first.url.rsplit_once('&').unwrap();
        prop_assert!(signature.starts_with("X-Amz-Signature=") && signature.len() == 16 + 64);
        let names: Vec<_> = first.headers.keys().map(String::as_str).collect();
        let mut signed_names: Vec<_> = names.into_iter().chain(["host"]).collect();
        signed_names.sort_unstable();
        prop_assert_eq!(Parts::of(&first.url).value("X-Amz-SignedHeaders").unwrap(), signed_names.join(";"));
    }

    #[test]
    fn form_policy_has_exactly_the_requested_conditions(
        key in any_key().prop_filter("a form has no line breaks", |key| !key.contains(['\r', '\n'])),
        filename in any::<bool>(),
        fields in btree_map("x-amz-meta-[a-z0-9]{1,10}", "[^\r\n]{0,20}", 0..4),
        starts_with in btree_map("x-ignore-[a-z0-9]{1,10}", "[^\r\n]{0,20}", 0..4),
        token in option::of("[ -~]{1,20}"),
    ) {
        let (asked, any_name) = (key.clone(), if filename { "${filename}" } else { "" });
        let case = Case {
            session_token: token.clone(),
            ..Case::new("plain-bucket", &(key + any_name), Operation::PutObject(PutObject::default()))
        };
        let parts = PresignPostRequest { fields: fields.clone(), starts_with: starts_with.clone(), ..Default::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let form = runtime.block_on(InProcess::new().presign_post(&case, parts)).unwrap();
        prop_assert_eq!(&*form.url, "https://plain-bucket.s3.us-east-1.amazonaws.com/");
        let policy = aws_smithy_types::base64::decode(&form.fields["policy"]).unwrap();
        let policy: Value = serde_json::from_slice(&policy).unwrap();

        let mut in_form = form.fields.clone();
        in_form.remove("policy");
        in_form.remove("x-amz-signature");
        let prefix = |(name, text): (&String, &String)| json!(["starts-with", format!("${name}"), text]);
        let mut expected: Vec<Value> = starts_with.iter().map(prefix).collect();
        if filename {
            in_form.remove("key");
            expected.push(json!(["starts-with", "$key", asked]));
        }
        in_form.insert("bucket".to_owned(), "plain-bucket".to_owned());
        expected.extend(in_form.iter().map(|(name, value)| json!({name: value})));
        let sorted = |mut all: Vec<Value>| {
            all.sort_by_key(Value::to_string);
            all
        };
        prop_assert_eq!(sorted(policy["conditions"].as_array().unwrap().clone()), sorted(expected));
        for (name, value) in &fields {
            prop_assert_eq!(&form.fields[name], value);
        }
        prop_assert_eq!(form.fields.get("x-amz-security-token"), token.as_ref());
    }

    #[test]
    fn host_is_always_an_aws_host(bucket in "\\PC{0,80}|[a-z0-9.:/@#?-]{3,63}|arn:aws:s3[a-z:/0-9.@-]{0,60}") {
        let case = Case::new(&bucket, "key", Operation::GetObject(GetObject::default()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        if let Ok(presigned) = runtime.block_on(InProcess::new().presign(&case)) {
            let parts = Parts::of(&presigned.url);
            prop_assert!(parts.origin.starts_with("https://"), "{}", parts.origin);
            prop_assert!(parts.origin.ends_with(".us-east-1.amazonaws.com"), "{}", parts.origin);
            prop_assert!(!parts.origin[8..].contains(['/', '@', ':', '?', '#']), "{}", parts.origin);
        }
    }
}
