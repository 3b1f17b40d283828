//! AWS's published worked example for query-string signing. The intermediate steps are tested in `src/presign/sign.rs`.
//!
//! Source: [Authenticating Requests: Using Query Parameters](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html).

use presignd::pb::{GetObject, presign_request::Operation};

use crate::support::in_process::{Case, InProcess, Parts};

#[tokio::test]
async fn worked_example_of_aws_gives_the_published_url() {
    let case = Case {
        // The example is from 2013 and uses the global endpoint.
        endpoint: Some("https://s3.amazonaws.com"),
        expires_in: 86_400,
        ..Case::new("examplebucket", "test.txt", Operation::GetObject(GetObject::default()))
    };
    let url = InProcess::new().presign(&case).await.unwrap().url;
    let published = "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
        &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
        &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
        &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
    assert_eq!(url, published);
    assert_eq!(Parts::of(&url), Parts::of(published));
}
