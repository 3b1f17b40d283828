"""Creates the user and the roles for the tests of roles in ministack's IAM, and prints the access key of the user.

    echo '{"endpoint": "http://127.0.0.1:PORT", "key": ROOT_KEY, "secret": ROOT_SECRET}' | python roles.py

prints {"key": ..., "secret": ...}. STS of ministack accepts every signature of its root key, but verifies those of
users and sessions. Both the trust policy of the role and the policy of the caller must allow the call:

    role       may be assumed by                                          has rights for
    direct     user `presignd`, session name presignd-default             S3
    outsider   user `presignd`, with external ID partner-7                S3
    hop        user `presignd`, without an external ID                    assuming `last`
    last       role `hop`, external ID partner-7, session name chained    S3
    web        SUBJECT of ISSUER with a web identity token                S3, assuming `after-web`
    after-web  role `web`                                                 S3

All roles are in the account 000000000000. ministack does not verify web identity tokens; it only reads their claims.
"""
import json
import sys

import boto3

ACCOUNT = "000000000000"
ISSUER = "oidc.example"
SUBJECT = "system:serviceaccount:team:app"


def main() -> None:
    given = json.load(sys.stdin)
    iam = boto3.client("iam", region_name="us-east-1", endpoint_url=given["endpoint"],
                       aws_access_key_id=given["key"], aws_secret_access_key=given["secret"])

    def role(name: str, principal: dict, condition: dict, *may: dict) -> None:
        web = "Federated" in principal
        action = "sts:AssumeRoleWithWebIdentity" if web else "sts:AssumeRole"
        trust = policy({"Principal": principal, "Action": action, "Condition": condition})
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
        iam.put_role_policy(RoleName=name, PolicyName="may", PolicyDocument=policy(*may))

    iam.create_user(UserName="presignd")
    assume = {"Action": "sts:AssumeRole", "Resource": "*"}
    iam.put_user_policy(UserName="presignd", PolicyName="may", PolicyDocument=policy(assume))
    user, s3 = {"AWS": arn("user/presignd")}, {"Action": "s3:*", "Resource": "*"}
    role("direct", user, equals("sts:RoleSessionName", "presignd-default"), s3)
    role("outsider", user, equals("sts:ExternalId", "partner-7"), s3)
    role("hop", user, {"Null": {"sts:ExternalId": "true"}}, assume | {"Resource": arn("role/last")})
    chained = {"sts:ExternalId": "partner-7", "sts:RoleSessionName": "chained"}
    role("last", {"AWS": arn("role/hop")}, {"StringEquals": chained}, s3)
    subject = equals(f"{ISSUER}:sub", SUBJECT)
    provider = {"Federated": arn(f"oidc-provider/{ISSUER}")}
    role("web", provider, subject, s3, assume | {"Resource": arn("role/after-web")})
    role("after-web", {"AWS": arn("role/web")}, {}, s3)

    made = iam.create_access_key(UserName="presignd")["AccessKey"]
    print(json.dumps({"key": made["AccessKeyId"], "secret": made["SecretAccessKey"]}))


def arn(resource: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:{resource}"


def equals(name: str, value: str) -> dict:
    return {"StringEquals": {name: value}}


def policy(*statements: dict) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow"} | each for each in statements]})


if __name__ == "__main__":
    main()
