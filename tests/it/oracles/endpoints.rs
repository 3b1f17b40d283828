//! The endpoint of each target, for all combinations of settings: the AWS SDK and boto3 must give the same URL, or reject the
//! same request.

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_s3::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation},
    presigning::PresigningConfig,
};
use presignd::pb::{GetObject, PresignedRequest, presign_request::Operation};
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::support::{
    ACCESS_KEY, SECRET_KEY,
    in_process::{Case, InProcess, Parts},
    python,
};

const REGIONS: [&str; 6] =
    ["us-east-1", "eu-west-1", "us-gov-west-1", "us-gov-east-1", "cn-north-1", "cn-northwest-1"];

/// A target, and all settings that determine its endpoint.
#[expect(clippy::struct_excessive_bools, reason = "they are settings, as an operator writes them")]
#[derive(Clone, Debug)]
struct EndpointCase {
    region: &'static str,
    bucket: String,
    endpoint: Option<&'static str>,
    path_style: bool,
    fips: bool,
    dual_stack: bool,
    accelerate: bool,
    use_arn_region: Option<bool>,
    disable_session_auth: bool,
}

fn buckets(region: &str) -> Vec<String> {
    let partition_of = |region: &str| match &region[..3] {
        "cn-" => "aws-cn",
        "us-" if region.starts_with("us-gov") => "aws-us-gov",
        _ => "aws",
    };
    let neighbour = match region {
        "us-east-1" => "eu-west-1",
        "us-gov-west-1" => "us-gov-east-1",
        "us-gov-east-1" => "us-gov-west-1",
        "cn-north-1" => "cn-northwest-1",
        "cn-northwest-1" => "cn-north-1",
        _ => "us-east-1",
    };
    let abroad = if partition_of(region) == "aws" { "cn-north-1" } else { "us-west-2" };
    let mut all: Vec<String> = [
        "plain-bucket",
        "dotted.bucket",
        "Old_Bucket",
        "reports-hrzrlukc5m36ft7okagglf3gmwluquse1b-s3alias",
        "redact-hrzrlukc5m36ft7okagglf3gmwlu--ol-s3",
        "test-accessp-o0b1d075431d83bebde8xz5w8ijx1qzlbp3i3kuse10--op-s3",
        "test-accessp-e0b1d075431d83bebde8xz5w8ijx1qzlbp3i3ebeta0--op-s3",
        "no-outposts-alias--op-s3",
        "logs--use1-az4--x-s3",
        "logs--usw2-lax1-az1--x-s3",
        "logs--nowhere--x-s3",
        "reports--use1-az4--xa-s3",
    ]
    .map(str::to_owned)
    .into();
    for there in [region, neighbour, abroad] {
        let at = |service: &str| format!("arn:{}:{service}:{there}:123456789012:", partition_of(there));
        all.push(at("s3") + "accesspoint/reports");
        all.push(at("s3-object-lambda") + "accesspoint/redact");
        all.push(at("s3-outposts") + "outpost/op-01ac5d28a6a232904/accesspoint/reports");
    }
    all
}

const ENDPOINTS: [Option<&str>; 7] = [
    None,
    None,
    Some("http://minio.local:9000"),
    Some("https://s3.example/base/"),
    Some("https://s3.example:443"),
    Some("http://[::1]:9000"),
    Some("http://127.0.0.1:9000"),
];

/// Every eleventh combination is tested. 11 has no factor in common with the number of values of any setting, so all pairs
/// of values of two settings are tested.
const STEP: usize = 11;

fn grid() -> Vec<EndpointCase> {
    let mut all = Vec::new();
    for region in REGIONS {
        for bucket in buckets(region) {
            for endpoint in ENDPOINTS {
                for flags in 0..32_u8 {
                    for use_arn_region in [None, Some(false), Some(true)] {
                        let flag = |bit: u8| flags & (1 << bit) != 0;
                        all.push(EndpointCase {
                            region,
                            bucket: bucket.clone(),
                            endpoint,
                            path_style: flag(0),
                            fips: flag(1),
                            dual_stack: flag(2),
                            accelerate: flag(3),
                            disable_session_auth: flag(4),
                            use_arn_region,
                        });
                    }
                }
            }
        }
    }
    all.into_iter().step_by(STEP).collect()
}

impl EndpointCase {
    fn case(&self) -> Case {
        let mut case = Case::new(&self.bucket, "a/b c", Operation::GetObject(GetObject::default()))
            .in_region(self.region);
        case.endpoint = self.endpoint;
        case.path_style = self.path_style;
        let flags = [
            ("FIPS", self.fips),
            ("DUAL_STACK", self.dual_stack),
            ("ACCELERATE", self.accelerate),
            ("DISABLE_SESSION_AUTH", self.disable_session_auth),
        ];
        case.settings = flags.map(|(name, flag)| (name, flag.to_string())).into();
        case.settings.extend(self.use_arn_region.map(|flag| ("USE_ARN_REGION", flag.to_string())));
        case
    }

    fn is_arn(&self) -> bool {
        self.bucket.starts_with("arn:")
    }

    fn is_at_ip_address(&self) -> bool {
        self.endpoint.is_some_and(|url| url.contains("//[::1]") || url.contains("//127.0.0.1"))
    }

    /// A part of the message if presignd rejects on purpose what the SDK and boto3 sign.
    fn rejected_on_purpose(&self) -> Option<&'static str> {
        self.endpoint?;
        if self.bucket.ends_with("--op-s3") {
            // Their URL is at AWS, although the signer has the endpoint and the credentials of another server.
            return Some("the alias of an S3 on Outposts access point exists only on AWS");
        }
        // They put a name before an IP address, which cannot be resolved.
        (self.is_arn() && self.is_at_ip_address()).then_some("needs an endpoint with a host name")
    }

    /// Whether presignd would first get a session from S3.
    fn needs_session(&self) -> bool {
        let directory = self.bucket.ends_with("--x-s3") || self.bucket.ends_with("--xa-s3");
        directory && !self.disable_session_auth
    }

    /// Presigns with the SDK; `None` if the SDK rejects the request.
    async fn presign_with_sdk(&self) -> Option<Parts> {
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region))
            .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test"))
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            // Without path style the SDK puts a name with dots before an IP address; for these boto3 is the reference.
            .force_path_style(self.path_style || self.is_at_ip_address() && !self.is_arn())
            .use_fips(self.fips)
            .use_dual_stack(self.dual_stack)
            .accelerate(self.accelerate)
            .disable_s3_express_session_auth(self.disable_session_auth);
        config.set_use_arn_region(self.use_arn_region);
        config.set_endpoint_url(self.endpoint.map(str::to_owned));
        let client = Client::from_conf(config.build());
        let presigning = PresigningConfig::builder()
            .start_time(self.case().at())
            .expires_in(Duration::from_secs(900))
            .build()
            .unwrap();
        let call = client.get_object().bucket(&self.bucket).key("a/b c");
        Some(Parts::of(call.presigned(presigning).await.ok()?.uri()))
    }
}

async fn presign(service: &InProcess, case: &EndpointCase, x_id: bool) -> Result<PresignedRequest, Status> {
    let mut case = case.case();
    case.query = x_id.then_some(("x-id", "GetObject")).into_iter().collect();
    service.presign(&case).await
}

/// Returns the message of a rejection, and asserts that presignd knows the reason.
fn message_of(rejected: &Status, case: &EndpointCase) -> String {
    assert_eq!(rejected.code(), Code::InvalidArgument, "{rejected} for {case:?}");
    let unknown = rejected.message().contains("no S3 endpoint for this target");
    assert!(!unknown, "presignd has no message for this reason: {rejected} for {case:?}");
    rejected.message().to_owned()
}

#[tokio::test]
async fn endpoints_equal_those_of_the_aws_sdk() {
    let service = InProcess::new();
    let (mut same, mut on_purpose, mut reasons) = (0, 0, BTreeMap::new());
    // The others need a session from S3: see `credentials/express`.
    for case in grid().into_iter().filter(|case| !case.needs_session()) {
        let theirs = case.presign_with_sdk().await;
        match (theirs, presign(&service, &case, true).await) {
            (Some(theirs), Ok(ours)) => {
                assert_eq!(Parts::of(&ours.url), theirs, "{case:?}");
                same += 1;
            }
            (None, Err(rejected)) => *reasons.entry(message_of(&rejected, &case)).or_insert(0) += 1,
            (Some(_), Err(rejected)) if case.rejected_on_purpose().is_some() => {
                let why = case.rejected_on_purpose().unwrap_or_default();
                assert!(message_of(&rejected, &case).contains(why), "{rejected} for {case:?}");
                on_purpose += 1;
            }
            (theirs, ours) => {
                panic!("the SDK {theirs:?}, presignd {:?}: {case:?}", ours.map(|ours| ours.url))
            }
        }
    }
    assert!(same > 700 && on_purpose > 100, "{same} targets were compared, {on_purpose} rejected on purpose");
    for reason in [
        "S3 Transfer Acceleration has no FIPS endpoint",
        "dual-stack exists only on AWS",
        "FIPS exists only on AWS",
        "S3 Transfer Acceleration exists only on AWS",
        "the partition of this signer's region has no FIPS endpoints",
        "the partition of this signer's region has no S3 Transfer Acceleration",
        "S3 Transfer Acceleration needs the bucket in the host",
        "an access point ARN cannot be used with path-style addressing",
        "directory buckets have no S3 Transfer Acceleration",
        "the zone ID in the directory bucket's name is not known to AWS",
        "Object Lambda access points have no dual-stack endpoint",
        "Object Lambda access points have no S3 Transfer Acceleration",
        "access points have no S3 Transfer Acceleration",
        "S3 on Outposts has no dual-stack endpoint",
        "S3 on Outposts has no FIPS endpoint",
        "S3 on Outposts has no S3 Transfer Acceleration",
        "the Outposts access point alias is not valid",
        "the ARN is in partition",
        "the ARN is in region",
    ] {
        assert!(
            reasons.keys().any(|message| message.contains(reason)),
            "no message contains {reason:?}: {reasons:#?}"
        );
    }
}

/// The cases for boto3. They leave out `path_style` for ARNs, which boto3 ignores, directory buckets, which it does not
/// support, and FIPS, dual-stack and accelerate with a custom endpoint, which it ignores too.
fn grid_for_boto3() -> Vec<EndpointCase> {
    let mut all: Vec<EndpointCase> = Vec::new();
    for region in ["us-east-1", "eu-west-1", "us-gov-west-1", "cn-north-1"] {
        for bucket in buckets(region).into_iter().filter(|bucket| !bucket.contains("--")) {
            for endpoint in &ENDPOINTS[1..] {
                for flags in 0..16_u8 {
                    let path_style = flags & 8 != 0;
                    let asked = match endpoint {
                        None => !path_style,
                        Some(_) => matches!(flags, 0 | 8) && !(path_style && bucket.starts_with("arn:")),
                    };
                    if !asked {
                        continue;
                    }
                    all.push(EndpointCase {
                        region,
                        bucket: bucket.clone(),
                        endpoint: *endpoint,
                        path_style,
                        fips: flags & 1 != 0,
                        dual_stack: flags & 2 != 0,
                        accelerate: flags & 4 != 0,
                        use_arn_region: None,
                        disable_session_auth: false,
                    });
                }
            }
        }
    }
    all
}

/// The addressing style for boto3. Its default, `auto`, means path style with a custom endpoint, like `path_style` here. It
/// also decides about names at an IP address.
fn addressing_for_boto3(case: &EndpointCase) -> &'static str {
    let is_path = case.path_style || case.is_at_ip_address() && !case.is_arn();
    if is_path { "auto" } else { "virtual" }
}

#[tokio::test]
async fn endpoints_equal_those_of_boto3() {
    let all = grid_for_boto3();
    let request = |case: &EndpointCase| {
        let config = json!({
            "use_fips_endpoint": case.fips,
            "use_dualstack_endpoint": case.dual_stack,
            "s3": {
                "use_accelerate_endpoint": case.accelerate,
                "addressing_style": addressing_for_boto3(case),
            },
        });
        json!({
            "time": case.case().time,
            "region": case.region,
            "access_key": ACCESS_KEY,
            "secret_key": SECRET_KEY,
            "endpoint": case.endpoint,
            "operation": "GetObject",
            "bucket": case.bucket,
            "key": "a/b c",
            "expires_in": 900,
            "config": config,
        })
    };
    let requests: String = all.iter().map(|case| request(case).to_string() + "\n").collect();
    let answers =
        tokio::task::spawn_blocking(move || python::run(python::script("boto3_oracle.py"), &requests));
    let answers = answers.await.unwrap();
    let service = InProcess::new();
    let (mut same, mut rejected, mut on_purpose) = (0, 0, 0);
    for (case, answer) in all.iter().zip(answers.lines()) {
        let answer: Value = serde_json::from_str(answer).unwrap();
        match (answer["url"].as_str(), presign(&service, case, false).await) {
            (Some(theirs), Ok(ours)) => {
                assert_eq!(Parts::of(&ours.url), Parts::of(theirs), "{case:?}");
                same += 1;
            }
            (None, Err(status)) => {
                message_of(&status, case);
                rejected += 1;
            }
            (Some(_), Err(status)) if case.rejected_on_purpose().is_some() => {
                let why = case.rejected_on_purpose().unwrap_or_default();
                assert!(message_of(&status, case).contains(why), "{status} for {case:?}");
                on_purpose += 1;
            }
            (_, ours) => panic!("boto3 {answer}, presignd {:?}: {case:?}", ours.map(|ours| ours.url)),
        }
    }
    assert!(same > 100 && rejected > 50 && on_purpose > 20, "{same}, {rejected} and {on_purpose}");
    assert_eq!(same + rejected + on_purpose, all.len());
}
