//! The host and the signing scope of a URL. Unlike S3, the servers accept any service in the scope.

use presignd::pb::{GetObject, presign_request::Operation};

use super::RoundTrip;
use crate::support::{
    ACCESS_KEY, OUTPOSTS_ARN,
    s3::{DOTTED_BUCKET, PLAIN_BUCKET, Server},
    sidecar::Sidecar,
};

#[tokio::test]
async fn a_dotted_bucket_is_in_the_path_and_works() {
    for server in [Server::ministack(), Server::seaweedfs()] {
        let caller = RoundTrip::start(server).await;
        let get = Operation::GetObject(GetObject::default());
        let url = caller.presign(DOTTED_BUCKET, "a/b c", get).await.url;
        assert!(url.starts_with("https://s3.us-east-1.amazonaws.com/dotted.bucket/a/b%20c?"), "{url}");
        caller.put(DOTTED_BUCKET, "a/b c", "in the path").await;
        assert_eq!(caller.get(DOTTED_BUCKET, "a/b c").await.text(), "in the path", "{}", server.name);
    }
}

#[tokio::test]
async fn only_outposts_use_the_s3_outposts_scope() {
    let caller = RoundTrip::start(Server::ministack()).await;
    let rows = [
        (OUTPOSTS_ARN, "us-east-1", "s3-outposts"),
        (
            "arn:aws:s3-outposts:eu-west-1:123456789012:outpost/op-01234567890123456/accesspoint/demo",
            "eu-west-1",
            "s3-outposts",
        ),
        ("test-accessp-o0b1d075431d83bebde8xz5w8ijx1qzlbp3i3kuse10--op-s3", "us-east-1", "s3-outposts"),
        ("plain-bucket", "us-east-1", "s3"),
        (DOTTED_BUCKET, "us-east-1", "s3"),
        ("arn:aws:s3:us-east-1:123456789012:accesspoint/reports", "us-east-1", "s3"),
        ("reports-hrzrlukc5m36ft7okagglf3gmwluquse1b-s3alias", "us-east-1", "s3"),
    ];
    for (bucket, region, service) in rows {
        let url = caller.presign(bucket, "key", Operation::GetObject(GetObject::default())).await.url;
        let credential = url.split("X-Amz-Credential=").nth(1).and_then(|rest| rest.split('&').next());
        let parts: Vec<_> = credential.unwrap_or_default().split("%2F").collect();
        let [key, _date, scope_region, scope_service, end] = parts[..] else { panic!("{bucket}: {parts:?}") };
        assert_eq!(
            (key, scope_region, scope_service, end),
            (ACCESS_KEY, region, service, "aws4_request"),
            "{bucket}"
        );
    }
}

#[tokio::test]
async fn the_url_has_the_public_endpoint_and_works() {
    for server in [Server::ministack(), Server::seaweedfs()] {
        let public = server.endpoint().replace("127.0.0.1", "files.example");
        let arguments = [
            "--signers-default-endpoint",
            "http://inside.invalid:1",
            "--signers-default-public-endpoint",
            &public,
            "--signers-default-path-style",
        ];
        let caller = RoundTrip::with_sidecar(server, Box::pin(Sidecar::start(&arguments)).await).await;
        let get = Operation::GetObject(GetObject::default());
        let url = caller.presign(PLAIN_BUCKET, "a/b c", get).await.url;
        assert!(url.starts_with(&format!("{public}/{PLAIN_BUCKET}/a/b%20c?")), "{url}");
        caller.put(PLAIN_BUCKET, "a/b c", "through the public endpoint").await;
        assert_eq!(
            caller.get(PLAIN_BUCKET, "a/b c").await.text(),
            "through the public endpoint",
            "{}",
            server.name
        );
    }
}
