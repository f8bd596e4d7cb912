# The bucket is all there is to keep: everything else can be made again.
resource "aws_kms_key" "bucket" {
  description             = "${var.name}: content of the bucket"
  enable_key_rotation     = true
  deletion_window_in_days = 30
}

resource "aws_kms_alias" "bucket" {
  name          = "alias/${var.name}-bucket"
  target_key_id = aws_kms_key.bucket.key_id
}

resource "aws_s3_bucket" "this" {
  bucket = local.bucket_name
}

resource "aws_s3_bucket_public_access_block" "this" {
  bucket                  = aws_s3_bucket.this.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.bucket.arn
    }
    # A key a bucket and not one a request: a hundredth of the price.
    bucket_key_enabled = true
  }
}

# No versions: objects are written once, and what is deleted must be gone.
resource "aws_s3_bucket_lifecycle_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    id     = "abandoned-uploads"
    status = "Enabled"
    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 2
    }
  }

  dynamic "rule" {
    for_each = var.expire_days == 0 ? [] : [var.expire_days]

    content {
      id     = "leftovers"
      status = "Enabled"

      filter {
        prefix = "batchmill/"
      }

      expiration {
        days = rule.value
      }
    }
  }
}

resource "aws_s3_bucket_policy" "this" {
  bucket = aws_s3_bucket.this.id
  policy = data.aws_iam_policy_document.bucket.json

  depends_on = [aws_s3_bucket_public_access_block.this]
}

data "aws_iam_policy_document" "bucket" {
  statement {
    sid       = "OnlyOverTls"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.this.arn, "${aws_s3_bucket.this.arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

# Objects put under intake/ are told to a topic. A trigger of source s3 subscribes to it: docs/guides/triggers.md.
resource "aws_sns_topic" "intake" {
  count = var.event_topic ? 1 : 0

  name = "${var.name}-intake"
  # Signatures of SHA-256, not SHA-1.
  signature_version = 2
}

resource "aws_sns_topic_policy" "intake" {
  count = var.event_topic ? 1 : 0

  arn    = aws_sns_topic.intake[0].arn
  policy = data.aws_iam_policy_document.intake[0].json
}

data "aws_iam_policy_document" "intake" {
  count = var.event_topic ? 1 : 0

  statement {
    sid       = "FromThisBucketOnly"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.intake[0].arn]

    principals {
      type        = "Service"
      identifiers = ["s3.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_s3_bucket.this.arn]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.this.account_id]
    }
  }
}

resource "aws_s3_bucket_notification" "intake" {
  count = var.event_topic ? 1 : 0

  bucket = aws_s3_bucket.this.id

  topic {
    topic_arn     = aws_sns_topic.intake[0].arn
    events        = ["s3:ObjectCreated:*"]
    filter_prefix = "intake/"
  }

  depends_on = [aws_sns_topic_policy.intake]
}
