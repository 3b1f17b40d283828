//! The registry of operations: one block for each field of `PresignRequest.operation` in the contract
//! (`proto/presign/v1/presign.proto`).
//!
//! A block has the number of the field (its tag), its message, the row in `presign::operation`, and for each field of the
//! message the name of the header, of the query parameter, or the prefix of the headers in S3. Fixed sub-resources are in
//! the row of the core. `http` has its method, headers and query in the request, so its line has none of them.
//!
//! A field of the contract without a block, or a field of a message without a name, is a compile error. A test compares tags and rows with the contract, and `tests/python/s3_model.py` compares the names with
//! botocore's model of S3.

use super::fields::operations;

operations! {
    34 Http => HTTP by_method;
    10 GetObject => GET_OBJECT {
        headers {
            if_match: "if-match",
            if_modified_since: "if-modified-since",
            if_none_match: "if-none-match",
            if_unmodified_since: "if-unmodified-since",
            range: "range",
            sse_customer_algorithm: "x-amz-server-side-encryption-customer-algorithm",
            sse_customer_key: "x-amz-server-side-encryption-customer-key",
            sse_customer_key_md5: "x-amz-server-side-encryption-customer-key-md5",
            request_payer: "x-amz-request-payer",
            expected_bucket_owner: "x-amz-expected-bucket-owner",
            checksum_mode: "x-amz-checksum-mode",
        }
        query {
            response_cache_control: "response-cache-control",
            response_content_disposition: "response-content-disposition",
            response_content_encoding: "response-content-encoding",
            response_content_language: "response-content-language",
            response_content_type: "response-content-type",
            response_expires: "response-expires",
            version_id: "versionId",
            part_number: "partNumber",
        }
        maps {}
    }
    11 HeadObject => HEAD_OBJECT {
        headers {
            if_match: "if-match",
            if_modified_since: "if-modified-since",
            if_none_match: "if-none-match",
            if_unmodified_since: "if-unmodified-since",
            range: "range",
            sse_customer_algorithm: "x-amz-server-side-encryption-customer-algorithm",
            sse_customer_key: "x-amz-server-side-encryption-customer-key",
            sse_customer_key_md5: "x-amz-server-side-encryption-customer-key-md5",
            request_payer: "x-amz-request-payer",
            expected_bucket_owner: "x-amz-expected-bucket-owner",
            checksum_mode: "x-amz-checksum-mode",
        }
        query {
            response_cache_control: "response-cache-control",
            response_content_disposition: "response-content-disposition",
            response_content_encoding: "response-content-encoding",
            response_content_language: "response-content-language",
            response_content_type: "response-content-type",
            response_expires: "response-expires",
            version_id: "versionId",
            part_number: "partNumber",
        }
        maps {}
    }
    12 PutObject => PUT_OBJECT {
        headers {
            acl: "x-amz-acl",
            cache_control: "cache-control",
            content_disposition: "content-disposition",
            content_encoding: "content-encoding",
            content_language: "content-language",
            content_length: "content-length",
            content_md5: "content-md5",
            content_type: "content-type",
            checksum_algorithm: "x-amz-sdk-checksum-algorithm",
            checksum_crc32: "x-amz-checksum-crc32",
            checksum_crc32c: "x-amz-checksum-crc32c",
            checksum_crc64nvme: "x-amz-checksum-crc64nvme",
            checksum_sha1: "x-amz-checksum-sha1",
            checksum_sha256: "x-amz-checksum-sha256",
            checksum_sha512: "x-amz-checksum-sha512",
            checksum_md5: "x-amz-checksum-md5",
            checksum_xxhash64: "x-amz-checksum-xxhash64",
            checksum_xxhash3: "x-amz-checksum-xxhash3",
            checksum_xxhash128: "x-amz-checksum-xxhash128",
            expires: "expires",
            if_match: "if-match",
            if_none_match: "if-none-match",
            grant_full_control: "x-amz-grant-full-control",
            grant_read: "x-amz-grant-read",
            grant_read_acp: "x-amz-grant-read-acp",
            grant_write_acp: "x-amz-grant-write-acp",
            write_offset_bytes: "x-amz-write-offset-bytes",
            server_side_encryption: "x-amz-server-side-encryption",
            storage_class: "x-amz-storage-class",
            website_redirect_location: "x-amz-website-redirect-location",
            sse_customer_algorithm: "x-amz-server-side-encryption-customer-algorithm",
            sse_customer_key: "x-amz-server-side-encryption-customer-key",
            sse_customer_key_md5: "x-amz-server-side-encryption-customer-key-md5",
            sse_kms_key_id: "x-amz-server-side-encryption-aws-kms-key-id",
            sse_kms_encryption_context: "x-amz-server-side-encryption-context",
            bucket_key_enabled: "x-amz-server-side-encryption-bucket-key-enabled",
            request_payer: "x-amz-request-payer",
            tagging: "x-amz-tagging",
            object_lock_mode: "x-amz-object-lock-mode",
            object_lock_retain_until_date: "x-amz-object-lock-retain-until-date",
            object_lock_legal_hold_status: "x-amz-object-lock-legal-hold",
            object_lock_event_hold: "x-amz-object-lock-event-hold",
            object_lock_event_hold_duration_days: "x-amz-object-lock-event-hold-duration-days",
            object_lock_event_hold_duration_years: "x-amz-object-lock-event-hold-duration-years",
            expected_bucket_owner: "x-amz-expected-bucket-owner",
        }
        query {}
        maps {
            metadata: "x-amz-meta-",
        }
    }
    13 DeleteObject => DELETE_OBJECT {
        headers {
            mfa: "x-amz-mfa",
            request_payer: "x-amz-request-payer",
            bypass_governance_retention: "x-amz-bypass-governance-retention",
            expected_bucket_owner: "x-amz-expected-bucket-owner",
            if_match: "if-match",
            if_match_last_modified_time: "x-amz-if-match-last-modified-time",
            if_match_size: "x-amz-if-match-size",
        }
        query {
            version_id: "versionId",
        }
        maps {}
    }
    14 DeleteObjects => DELETE_OBJECTS {
        headers {
            mfa: "x-amz-mfa",
            request_payer: "x-amz-request-payer",
            bypass_governance_retention: "x-amz-bypass-governance-retention",
            expected_bucket_owner: "x-amz-expected-bucket-owner",
            checksum_algorithm: "x-amz-sdk-checksum-algorithm",
        }
        query {}
        maps {}
    }
    15 CopyObject => COPY_OBJECT {
        headers {
            acl: "x-amz-acl",
            cache_control: "cache-control",
            checksum_algorithm: "x-amz-checksum-algorithm",
            content_disposition: "content-disposition",
            content_encoding: "content-encoding",
            content_language: "content-language",
            content_type: "content-type",
            copy_source: "x-amz-copy-source",
            copy_source_if_match: "x-amz-copy-source-if-match",
            copy_source_if_modified_since: "x-amz-copy-source-if-modified-since",
            copy_source_if_none_match: "x-amz-copy-source-if-none-match",
            copy_source_if_unmodified_since: "x-amz-copy-source-if-unmodified-since",
            expires: "expires",
            grant_full_control: "x-amz-grant-full-control",
            grant_read: "x-amz-grant-read",
            grant_read_acp: "x-amz-grant-read-acp",
            grant_write_acp: "x-amz-grant-write-acp",
            if_match: "if-match",
            if_none_match: "if-none-match",
            metadata_directive: "x-amz-metadata-directive",
            tagging_directive: "x-amz-tagging-directive",
            annotation_directive: "x-amz-object-annotation-directive",
            server_side_encryption: "x-amz-server-side-encryption",
            storage_class: "x-amz-storage-class",
            website_redirect_location: "x-amz-website-redirect-location",
            sse_customer_algorithm: "x-amz-server-side-encryption-customer-algorithm",
            sse_customer_key: "x-amz-server-side-encryption-customer-key",
            sse_customer_key_md5: "x-amz-server-side-encryption-customer-key-md5",
            sse_kms_key_id: "x-amz-server-side-encryption-aws-kms-key-id",
            sse_kms_encryption_context: "x-amz-server-side-encryption-context",
            bucket_key_enabled: "x-amz-server-side-encryption-bucket-key-enabled",
            copy_source_sse_customer_algorithm: "x-amz-copy-source-server-side-encryption-customer-algorithm",
            copy_source_sse_customer_key: "x-amz-copy-source-server-side-encryption-customer-key",
            copy_source_sse_customer_key_md5: "x-amz-copy-source-server-side-encryption-customer-key-md5",
            request_payer: "x-amz-request-payer",
            tagging: "x-amz-tagging",
            object_lock_mode: "x-amz-object-lock-mode",
            object_lock_retain_until_date: "x-amz-object-lock-retain-until-date",
            object_lock_legal_hold_status: "x-amz-object-lock-legal-hold",
            object_lock_event_hold: "x-amz-object-lock-event-hold",
            object_lock_event_hold_duration_days: "x-amz-object-lock-event-hold-duration-days",
            object_lock_event_hold_duration_years: "x-amz-object-lock-event-hold-duration-years",
            expected_bucket_owner: "x-amz-expected-bucket-owner",
            expected_source_bucket_owner: "x-amz-source-expected-bucket-owner",
        }
        query {}
        maps {
            metadata: "x-amz-meta-",
        }
    }
    16 CreateMultipartUpload => CREATE_MULTIPART_UPLOAD {
        headers {
            acl: "x-amz-acl",
            cache_control: "cache-control",
            content_disposition: "content-disposition",
            content_encoding: "content-encoding",
            content_language: "content-language",
            content_type: "content-type",
            expires: "expires",
            grant_full_control: "x-amz-grant-full-control",
            grant_read: "x-amz-grant-read",
            grant_read_acp: "x-amz-grant-read-acp",
            grant_write_acp: "x-amz-grant-write-acp",
            server_side_encryption: "x-amz-server-side-encryption",
            storage_class: "x-amz-storage-class",
            website_redirect_location: "x-amz-website-redirect-location",
            sse_customer_algorithm: "x-amz-server-side-encryption-customer-algorithm",
            sse_customer_key: "x-amz-server-side-encryption-customer-key",
            sse_customer_key_md5: "x-amz-server-side-encryption-customer-key-md5",
            sse_kms_key_id: "x-amz-server-side-encryption-aws-kms-key-id",
            sse_kms_encryption_context: "x-amz-server-side-encryption-context",
            bucket_key_enabled: "x-amz-server-side-encryption-bucket-key-enabled",
            request_payer: "x-amz-request-payer",
            tagging: "x-amz-tagging",
            object_lock_mode: "x-amz-object-lock-mode",
            object_lock_retain_until_date: "x-amz-object-lock-retain-until-date",
            object_lock_legal_hold_status: "x-amz-object-lock-legal-hold",
            object_lock_event_hold: "x-amz-object-lock-event-hold",
            object_lock_event_hold_duration_days: "x-amz-object-lock-event-hold-duration-days",
            object_lock_event_hold_duration_years: "x-amz-object-lock-event-hold-duration-years",
            expected_bucket_owner: "x-amz-expected-bucket-owner",
            checksum_algorithm: "x-amz-checksum-algorithm",
            checksum_type: "x-amz-checksum-type",
        }
        query {}
        maps {
            metadata: "x-amz-meta-",
        }
    }
    17 UploadPart => UPLOAD_PART {
        headers {
            content_length: "content-length",
            content_md5: "content-md5",
            checksum_algorithm: "x-amz-sdk-checksum-algorithm",
            checksum_crc32: "x-amz-checksum-crc32",
            checksum_crc32c: "x-amz-checksum-crc32c",
            checksum_crc64nvme: "x-amz-checksum-crc64nvme",
            checksum_sha1: "x-amz-checksum-sha1",
            checksum_sha256: "x-amz-checksum-sha256",
            checksum_sha512: "x-amz-checksum-sha512",
            checksum_md5: "x-amz-checksum-md5",
            checksum_xxhash64: "x-amz-checksum-xxhash64",
            checksum_xxhash3: "x-amz-checksum-xxhash3",
            checksum_xxhash128: "x-amz-checksum-xxhash128",
            sse_customer_algorithm: "x-amz-server-side-encryption-customer-algorithm",
            sse_customer_key: "x-amz-server-side-encryption-customer-key",
            sse_customer_key_md5: "x-amz-server-side-encryption-customer-key-md5",
            request_payer: "x-amz-request-payer",
            expected_bucket_owner: "x-amz-expected-bucket-owner",
        }
        query {
            part_number: "partNumber",
            upload_id: "uploadId",
        }
        maps {}
    }
    18 UploadPartCopy => UPLOAD_PART_COPY {
        headers {
            copy_source: "x-amz-copy-source",
            copy_source_if_match: "x-amz-copy-source-if-match",
            copy_source_if_modified_since: "x-amz-copy-source-if-modified-since",
            copy_source_if_none_match: "x-amz-copy-source-if-none-match",
            copy_source_if_unmodified_since: "x-amz-copy-source-if-unmodified-since",
            copy_source_range: "x-amz-copy-source-range",
            sse_customer_algorithm: "x-amz-server-side-encryption-customer-algorithm",
            sse_customer_key: "x-amz-server-side-encryption-customer-key",
            sse_customer_key_md5: "x-amz-server-side-encryption-customer-key-md5",
            copy_source_sse_customer_algorithm: "x-amz-copy-source-server-side-encryption-customer-algorithm",
            copy_source_sse_customer_key: "x-amz-copy-source-server-side-encryption-customer-key",
            copy_source_sse_customer_key_md5: "x-amz-copy-source-server-side-encryption-customer-key-md5",
            request_payer: "x-amz-request-payer",
            expected_bucket_owner: "x-amz-expected-bucket-owner",
            expected_source_bucket_owner: "x-amz-source-expected-bucket-owner",
        }
        query {
            part_number: "partNumber",
            upload_id: "uploadId",
        }
        maps {}
    }
    19 CompleteMultipartUpload => COMPLETE_MULTIPART_UPLOAD {
        headers {
            checksum_crc32: "x-amz-checksum-crc32",
            checksum_crc32c: "x-amz-checksum-crc32c",
            checksum_crc64nvme: "x-amz-checksum-crc64nvme",
            checksum_sha1: "x-amz-checksum-sha1",
            checksum_sha256: "x-amz-checksum-sha256",
            checksum_sha512: "x-amz-checksum-sha512",
            checksum_md5: "x-amz-checksum-md5",
            checksum_xxhash64: "x-amz-checksum-xxhash64",
            checksum_xxhash3: "x-amz-checksum-xxhash3",
            checksum_xxhash128: "x-amz-checksum-xxhash128",
            checksum_type: "x-amz-checksum-type",
            mpu_object_size: "x-amz-mp-object-size",
            request_payer: "x-amz-request-payer",
            expected_bucket_owner: "x-amz-expected-bucket-owner",
            if_match: "if-match",
            if_none_match: "if-none-match",
            sse_customer_algorithm: "x-amz-server-side-encryption-customer-algorithm",
            sse_customer_key: "x-amz-server-side-encryption-customer-key",
            sse_customer_key_md5: "x-amz-server-side-encryption-customer-key-md5",
        }
        query {
            upload_id: "uploadId",
        }
        maps {}
    }
    20 AbortMultipartUpload => ABORT_MULTIPART_UPLOAD {
        headers {
            request_payer: "x-amz-request-payer",
            expected_bucket_owner: "x-amz-expected-bucket-owner",
            if_match_initiated_time: "x-amz-if-match-initiated-time",
        }
        query {
            upload_id: "uploadId",
        }
        maps {}
    }
    21 ListParts => LIST_PARTS {
        headers {
            request_payer: "x-amz-request-payer",
            expected_bucket_owner: "x-amz-expected-bucket-owner",
            sse_customer_algorithm: "x-amz-server-side-encryption-customer-algorithm",
            sse_customer_key: "x-amz-server-side-encryption-customer-key",
            sse_customer_key_md5: "x-amz-server-side-encryption-customer-key-md5",
        }
        query {
            max_parts: "max-parts",
            part_number_marker: "part-number-marker",
            upload_id: "uploadId",
        }
        maps {}
    }
    22 ListMultipartUploads => LIST_MULTIPART_UPLOADS {
        headers {
            expected_bucket_owner: "x-amz-expected-bucket-owner",
            request_payer: "x-amz-request-payer",
        }
        query {
            delimiter: "delimiter",
            encoding_type: "encoding-type",
            key_marker: "key-marker",
            max_uploads: "max-uploads",
            prefix: "prefix",
            upload_id_marker: "upload-id-marker",
        }
        maps {}
    }
    23 ListObjects => LIST_OBJECTS {
        headers {
            request_payer: "x-amz-request-payer",
            expected_bucket_owner: "x-amz-expected-bucket-owner",
            optional_object_attributes: "x-amz-optional-object-attributes",
        }
        query {
            delimiter: "delimiter",
            encoding_type: "encoding-type",
            marker: "marker",
            max_keys: "max-keys",
            prefix: "prefix",
        }
        maps {}
    }
    24 ListObjectsV2 => LIST_OBJECTS_V2 {
        headers {
            request_payer: "x-amz-request-payer",
            expected_bucket_owner: "x-amz-expected-bucket-owner",
            optional_object_attributes: "x-amz-optional-object-attributes",
        }
        query {
            delimiter: "delimiter",
            encoding_type: "encoding-type",
            max_keys: "max-keys",
            prefix: "prefix",
            continuation_token: "continuation-token",
            fetch_owner: "fetch-owner",
            start_after: "start-after",
        }
        maps {}
    }
    25 ListObjectVersions => LIST_OBJECT_VERSIONS {
        headers {
            expected_bucket_owner: "x-amz-expected-bucket-owner",
            request_payer: "x-amz-request-payer",
            optional_object_attributes: "x-amz-optional-object-attributes",
        }
        query {
            delimiter: "delimiter",
            encoding_type: "encoding-type",
            key_marker: "key-marker",
            max_keys: "max-keys",
            prefix: "prefix",
            version_id_marker: "version-id-marker",
        }
        maps {}
    }
    26 HeadBucket => HEAD_BUCKET {
        headers {
            expected_bucket_owner: "x-amz-expected-bucket-owner",
        }
        query {}
        maps {}
    }
    27 GetObjectTagging => GET_OBJECT_TAGGING {
        headers {
            expected_bucket_owner: "x-amz-expected-bucket-owner",
            request_payer: "x-amz-request-payer",
        }
        query {
            version_id: "versionId",
        }
        maps {}
    }
    28 PutObjectTagging => PUT_OBJECT_TAGGING {
        headers {
            content_md5: "content-md5",
            checksum_algorithm: "x-amz-sdk-checksum-algorithm",
            expected_bucket_owner: "x-amz-expected-bucket-owner",
            request_payer: "x-amz-request-payer",
        }
        query {
            version_id: "versionId",
        }
        maps {}
    }
    29 DeleteObjectTagging => DELETE_OBJECT_TAGGING {
        headers {
            expected_bucket_owner: "x-amz-expected-bucket-owner",
        }
        query {
            version_id: "versionId",
        }
        maps {}
    }
    30 GetObjectAttributes => GET_OBJECT_ATTRIBUTES {
        headers {
            max_parts: "x-amz-max-parts",
            part_number_marker: "x-amz-part-number-marker",
            sse_customer_algorithm: "x-amz-server-side-encryption-customer-algorithm",
            sse_customer_key: "x-amz-server-side-encryption-customer-key",
            sse_customer_key_md5: "x-amz-server-side-encryption-customer-key-md5",
            request_payer: "x-amz-request-payer",
            expected_bucket_owner: "x-amz-expected-bucket-owner",
            object_attributes: "x-amz-object-attributes",
        }
        query {
            version_id: "versionId",
        }
        maps {}
    }
    31 GetObjectAcl => GET_OBJECT_ACL {
        headers {
            request_payer: "x-amz-request-payer",
            expected_bucket_owner: "x-amz-expected-bucket-owner",
        }
        query {
            version_id: "versionId",
        }
        maps {}
    }
    32 PutObjectAcl => PUT_OBJECT_ACL {
        headers {
            acl: "x-amz-acl",
            content_md5: "content-md5",
            checksum_algorithm: "x-amz-sdk-checksum-algorithm",
            grant_full_control: "x-amz-grant-full-control",
            grant_read: "x-amz-grant-read",
            grant_read_acp: "x-amz-grant-read-acp",
            grant_write: "x-amz-grant-write",
            grant_write_acp: "x-amz-grant-write-acp",
            request_payer: "x-amz-request-payer",
            expected_bucket_owner: "x-amz-expected-bucket-owner",
        }
        query {
            version_id: "versionId",
        }
        maps {}
    }
    33 RestoreObject => RESTORE_OBJECT {
        headers {
            request_payer: "x-amz-request-payer",
            checksum_algorithm: "x-amz-sdk-checksum-algorithm",
            expected_bucket_owner: "x-amz-expected-bucket-owner",
        }
        query {
            version_id: "versionId",
        }
        maps {}
    }
    35 GetObjectRetention => GET_OBJECT_RETENTION {
        headers {
            request_payer: "x-amz-request-payer",
            expected_bucket_owner: "x-amz-expected-bucket-owner",
        }
        query {
            version_id: "versionId",
        }
        maps {}
    }
    36 PutObjectRetention => PUT_OBJECT_RETENTION {
        headers {
            request_payer: "x-amz-request-payer",
            bypass_governance_retention: "x-amz-bypass-governance-retention",
            content_md5: "content-md5",
            checksum_algorithm: "x-amz-sdk-checksum-algorithm",
            expected_bucket_owner: "x-amz-expected-bucket-owner",
        }
        query {
            version_id: "versionId",
        }
        maps {}
    }
    37 GetObjectLegalHold => GET_OBJECT_LEGAL_HOLD {
        headers {
            request_payer: "x-amz-request-payer",
            expected_bucket_owner: "x-amz-expected-bucket-owner",
        }
        query {
            version_id: "versionId",
        }
        maps {}
    }
    38 PutObjectLegalHold => PUT_OBJECT_LEGAL_HOLD {
        headers {
            request_payer: "x-amz-request-payer",
            content_md5: "content-md5",
            checksum_algorithm: "x-amz-sdk-checksum-algorithm",
            expected_bucket_owner: "x-amz-expected-bucket-owner",
        }
        query {
            version_id: "versionId",
        }
        maps {}
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, ptr};

    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;
    use crate::presign::operation::{HTTP, OPERATIONS};

    /// The fields of `PresignRequest.operation` in the contract: tag and message.
    fn contract() -> BTreeMap<i32, String> {
        let contract = FileDescriptorSet::decode(pb::DESCRIPTORS).unwrap();
        let messages = contract.file.iter().flat_map(|file| &file.message_type);
        let request = messages.into_iter().find(|message| message.name() == "PresignRequest").unwrap();
        let oneof = request.oneof_decl.iter().position(|oneof| oneof.name() == "operation").unwrap();
        let fields = request.field.iter().filter(|field| field.oneof_index == i32::try_from(oneof).ok());
        fields
            .map(|field| {
                let message = field.type_name().rsplit_once('.').unwrap().1;
                (field.number(), message.to_owned())
            })
            .collect()
    }

    #[test]
    fn each_operation_of_the_contract_is_registered_once() {
        let registered: Vec<_> =
            REGISTERED.iter().map(|(tag, message, _)| (*tag, (*message).to_owned())).collect();
        let unique: BTreeMap<_, _> = registered.iter().cloned().collect();
        assert_eq!(unique, contract());
        assert_eq!(registered.len(), unique.len());
        for (_, message, row) in REGISTERED {
            assert_eq!(row.name, *message);
        }
    }

    #[test]
    fn each_row_of_the_core_is_used_once() {
        for row in OPERATIONS.into_iter().chain([&HTTP]) {
            let users = REGISTERED.iter().filter(|(.., used)| ptr::eq(*used, row));
            assert_eq!(users.count(), 1, "{}", row.name);
        }
        assert_eq!(REGISTERED.len(), OPERATIONS.len() + 1);
    }
}
