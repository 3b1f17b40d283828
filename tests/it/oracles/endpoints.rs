//! Where each target is, under every combination of settings: the AWS SDK and boto3 must say the same, or refuse with us.

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

/// What a target's endpoint follows from.
#[expect(clippy::struct_excessive_bools, reason = "they are settings, as an operator writes them")]
#[derive(Clone, Debug)]
struct Place {
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

/// Every so many of all combinations: a number without a factor in common with any of their lengths, so that every two
/// settings meet in every way.
const STEP: usize = 11;

fn grid() -> Vec<Place> {
    let mut all = Vec::new();
    for region in REGIONS {
        for bucket in buckets(region) {
            for endpoint in ENDPOINTS {
                for flags in 0..32_u8 {
                    for use_arn_region in [None, Some(false), Some(true)] {
                        let flag = |place: u8| flags & (1 << place) != 0;
                        all.push(Place {
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

impl Place {
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

    /// Why we refuse on purpose what the SDK and boto3 sign.
    fn refused_on_purpose(&self) -> Option<&'static str> {
        self.endpoint?;
        if self.bucket.ends_with("--op-s3") {
            // They go to AWS all the same, with the credentials of another server.
            return Some("the alias of an S3 on Outposts access point exists only on AWS");
        }
        // They put a name in front of an address, which nobody can reach.
        (self.is_arn() && self.is_at_ip_address()).then_some("needs an endpoint with a host name")
    }

    /// S3 would be asked for a session first.
    fn needs_session(&self) -> bool {
        let directory = self.bucket.ends_with("--x-s3") || self.bucket.ends_with("--xa-s3");
        directory && !self.disable_session_auth
    }

    /// What the SDK presigns; nothing where it refuses.
    async fn by_sdk(&self) -> Option<Parts> {
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region))
            .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test"))
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            // Left to itself it puts a name with dots in front of an address; boto3 is the judge of these.
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

async fn ours(service: &InProcess, place: &Place, x_id: bool) -> Result<PresignedRequest, Status> {
    let mut case = place.case();
    case.query = x_id.then_some(("x-id", "GetObject")).into_iter().collect();
    service.presign(&case).await
}

/// The message of a refusal, which must be one of ours.
fn told(refused: &Status, place: &Place) -> String {
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused} for {place:?}");
    let unknown = refused.message().contains("no S3 endpoint for this target");
    assert!(!unknown, "AWS's reason is not told in our words: {refused} for {place:?}");
    refused.message().to_owned()
}

#[tokio::test]
async fn every_target_is_where_the_aws_sdk_presigner_has_it_and_refused_where_it_refuses() {
    let service = InProcess::new();
    let (mut same, mut on_purpose, mut reasons) = (0, 0, BTreeMap::new());
    // For the others, S3 would be asked for a session first: see `credentials/express`.
    for place in grid().into_iter().filter(|place| !place.needs_session()) {
        let theirs = place.by_sdk().await;
        match (theirs, ours(&service, &place, true).await) {
            (Some(theirs), Ok(ours)) => {
                assert_eq!(Parts::of(&ours.url), theirs, "{place:?}");
                same += 1;
            }
            (None, Err(refused)) => *reasons.entry(told(&refused, &place)).or_insert(0) += 1,
            (Some(_), Err(refused)) if place.refused_on_purpose().is_some() => {
                let why = place.refused_on_purpose().unwrap_or_default();
                assert!(told(&refused, &place).contains(why), "{refused} for {place:?}");
                on_purpose += 1;
            }
            (theirs, ours) => panic!("the SDK {theirs:?}, we {:?}: {place:?}", ours.map(|ours| ours.url)),
        }
    }
    assert!(same > 700 && on_purpose > 100, "{same} targets were compared, {on_purpose} refused on purpose");
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
        assert!(reasons.keys().any(|told| told.contains(reason)), "nobody was told {reason:?}: {reasons:#?}");
    }
}

/// What boto3 is asked about: it ignores `path_style` for ARNs, cannot do directory buckets, and drops FIPS, dual-stack and
/// accelerate in silence where there is an endpoint.
fn grid_for_boto3() -> Vec<Place> {
    let mut all: Vec<Place> = Vec::new();
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
                    all.push(Place {
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

/// What boto3 is told of addressing. Its own default, `auto`, means the path where there is an endpoint: our `path_style`;
/// and it is the judge of names at an IP address.
fn addressing_for_boto3(place: &Place) -> &'static str {
    let is_path = place.path_style || place.is_at_ip_address() && !place.is_arn();
    if is_path { "auto" } else { "virtual" }
}

#[tokio::test]
async fn every_target_is_where_boto3_has_it_and_refused_where_it_refuses() {
    let all = grid_for_boto3();
    let question = |place: &Place| {
        let config = json!({
            "use_fips_endpoint": place.fips,
            "use_dualstack_endpoint": place.dual_stack,
            "s3": {
                "use_accelerate_endpoint": place.accelerate,
                "addressing_style": addressing_for_boto3(place),
            },
        });
        json!({
            "time": place.case().time,
            "region": place.region,
            "access_key": ACCESS_KEY,
            "secret_key": SECRET_KEY,
            "endpoint": place.endpoint,
            "operation": "GetObject",
            "bucket": place.bucket,
            "key": "a/b c",
            "expires_in": 900,
            "config": config,
        })
    };
    let questions: String = all.iter().map(|place| question(place).to_string() + "\n").collect();
    let answers =
        tokio::task::spawn_blocking(move || python::run(python::script("boto3_oracle.py"), &questions));
    let answers = answers.await.unwrap();
    let service = InProcess::new();
    let (mut same, mut refused, mut on_purpose) = (0, 0, 0);
    for (place, answer) in all.iter().zip(answers.lines()) {
        let answer: Value = serde_json::from_str(answer).unwrap();
        match (answer["url"].as_str(), ours(&service, place, false).await) {
            (Some(theirs), Ok(ours)) => {
                assert_eq!(Parts::of(&ours.url), Parts::of(theirs), "{place:?}");
                same += 1;
            }
            (None, Err(status)) => {
                told(&status, place);
                refused += 1;
            }
            (Some(_), Err(status)) if place.refused_on_purpose().is_some() => {
                let why = place.refused_on_purpose().unwrap_or_default();
                assert!(told(&status, place).contains(why), "{status} for {place:?}");
                on_purpose += 1;
            }
            (_, ours) => panic!("boto3 {answer}, we {:?}: {place:?}", ours.map(|ours| ours.url)),
        }
    }
    assert!(same > 100 && refused > 50 && on_purpose > 20, "{same}, {refused} and {on_purpose}");
    assert_eq!(same + refused + on_purpose, all.len());
}
