locals {
  tags        = merge({ "batchmill" = var.name }, var.tags)
  bucket_name = var.bucket_name != "" ? var.bucket_name : "${var.name}-${data.aws_caller_identity.this.account_id}-${var.region}"
  # The chart's service account, which alone may use the role below.
  service_account = var.name
  partition       = data.aws_partition.this.partition
}

data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}
