# What Batchmill's pods may do: read, write and list in their prefix of the bucket, and read intake/. Nothing else.
resource "aws_iam_role" "batchmill" {
  name               = "${var.name}-pods"
  assume_role_policy = data.aws_iam_policy_document.pod_identity_trust.json
}

data "aws_iam_policy_document" "pod_identity_trust" {
  statement {
    actions = ["sts:AssumeRole", "sts:TagSession"]

    principals {
      type        = "Service"
      identifiers = ["pods.eks.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.this.account_id]
    }
  }
}

data "aws_iam_policy_document" "batchmill" {
  statement {
    sid       = "Objects"
    actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
    resources = ["${aws_s3_bucket.this.arn}/batchmill/*"]
  }

  statement {
    sid       = "Intake"
    actions   = ["s3:GetObject"]
    resources = ["${aws_s3_bucket.this.arn}/intake/*"]
  }

  statement {
    sid       = "Listings"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.this.arn]

    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = ["batchmill/*", "intake/*"]
    }
  }

  statement {
    sid       = "Content"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [aws_kms_key.bucket.arn]
  }
}

resource "aws_iam_role_policy" "batchmill" {
  name   = "bucket"
  role   = aws_iam_role.batchmill.id
  policy = data.aws_iam_policy_document.batchmill.json
}

resource "aws_eks_pod_identity_association" "batchmill" {
  cluster_name    = aws_eks_cluster.this.name
  namespace       = var.name
  service_account = local.service_account
  role_arn        = aws_iam_role.batchmill.arn
}
