#!/bin/sh
# Makes the importer's bucket, and a user for the importer that may write only there. It may read
# every bucket, since producers say in their requests where their files are; narrow `Resource` to
# name those buckets. Safe to repeat.
set -eu

secrets=${SECRETS_DIR:-/run/secrets}
bucket=${NODE_IMPORT_S3_BUCKET:-node-import}
policy=$(mktemp)
trap 'rm -f "$policy"' EXIT

# An alias in the environment: nothing is written to a configuration file.
MC_HOST_store="http://$(cat "$secrets/minio_root_user"):$(cat "$secrets/minio_root_password")@${MINIO_ADDRESS:-minio:9000}"
export MC_HOST_store

cat > "$policy" <<JSON
{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": ["s3:GetObject", "s3:GetObjectVersion", "s3:GetBucketLocation", "s3:ListBucket"],
      "Resource": ["arn:aws:s3:::*"]
    },
    {
      "Effect": "Allow",
      "Action": ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload",
                 "s3:ListMultipartUploadParts", "s3:ListBucketMultipartUploads"],
      "Resource": ["arn:aws:s3:::$bucket", "arn:aws:s3:::$bucket/*"]
    }
  ]
}
JSON

mc mb --quiet --ignore-existing "store/$bucket"
mc admin policy create store node-import "$policy"
user=$(cat "$secrets/node_import_s3_access_key")
mc admin user add store "$user" "$(cat "$secrets/node_import_s3_secret_key")"
# Some versions call it an error to attach what is attached already.
mc admin policy attach store node-import --user "$user" ||
    case $(mc admin user info store "$user") in *node-import*) ;; *) exit 1 ;; esac
