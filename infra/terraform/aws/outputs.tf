output "bucket" {
  description = "Name of the bucket."
  value       = aws_s3_bucket.this.id
}

output "intake_topic" {
  description = "Topic that hears of objects put under intake/: subscribe a trigger's URL to it."
  value       = one(aws_sns_topic.intake[*].arn)
}

output "kubeconfig_command" {
  description = "Points kubectl and helm at the cluster."
  value       = "aws eks update-kubeconfig --name ${aws_eks_cluster.this.name} --region ${var.region}"
}

output "helm_values" {
  description = "Values for the chart in infra/helm, beside image and model: terraform output -raw helm_values > aws.yaml"
  value = yamlencode({
    queue          = { existingSecret = kubernetes_secret.queue.metadata[0].name }
    bucket         = { url = "s3://${aws_s3_bucket.this.id}/batchmill?region=${var.region}" }
    serviceAccount = { create = true, name = local.service_account }
    keda           = { enabled = true, operatorKeySecret = kubernetes_secret.operator.metadata[0].name }
    settings       = { S3_INPUTS = jsonencode({ "*" = ["s3://${aws_s3_bucket.this.id}/intake/"] }) }
    inferDefaults  = { spot = { enabled = var.spot }, scale = { max = var.gpu_limit } }
  })
}
