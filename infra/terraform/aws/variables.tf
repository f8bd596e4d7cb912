variable "name" {
  description = "Name of everything made here, and of the Kubernetes namespace."
  type        = string
  default     = "batchmill"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,28}[a-z0-9]$", var.name))
    error_message = "3 to 30 lower-case letters, digits and hyphens."
  }
}

variable "region" {
  description = "AWS region, e.g. eu-central-1."
  type        = string
}

variable "tags" {
  description = "Tags of everything, beside the name."
  type        = map(string)
  default     = {}
}

variable "vpc_id" {
  description = "The network everything lives in."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets in at least two zones, with a way out (NAT) for models, URLs in items and webhooks."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "At least two subnets, in different zones."
  }
}

variable "public_access_cidrs" {
  description = "Networks from which the Kubernetes API may be reached; empty: only from inside the network."
  type        = list(string)
  default     = []
}

variable "kubernetes_version" {
  description = "Version of EKS, at least 1.30."
  type        = string
  default     = "1.34"
}

variable "bucket_name" {
  description = "Name of the bucket, unique in the world; empty: made from the name and the account."
  type        = string
  default     = ""
}

variable "expire_days" {
  description = "Days after which whatever is left in the bucket goes; 0: never. Batchmill deletes what has expired itself: this is for what nobody deletes."
  type        = number
  default     = 0

  validation {
    condition     = var.expire_days == 0 || var.expire_days >= 35
    error_message = "0, or at least 35: inputs live for 30 days."
  }
}

variable "event_topic" {
  description = "Make an SNS topic that hears of objects put under intake/, for a trigger of source s3 to subscribe to."
  type        = bool
  default     = true
}

variable "valkey_node_type" {
  description = "Machine of the queue."
  type        = string
  default     = "cache.t4g.small"
}

variable "gpu_instance_types" {
  description = "Machines for infer workers, best first. Gemma 4 E2B in Q4_0 with 8 slots fits in 16 GB of GPU memory."
  type        = list(string)
  default     = ["g6.xlarge", "g5.xlarge", "g4dn.xlarge"]
}

variable "gpu_limit" {
  description = "Most GPUs at a time: what bounds the bill."
  type        = number
  default     = 8
}

variable "spot" {
  description = "Take spot machines for infer workers where there are any."
  type        = bool
  default     = true
}

variable "karpenter_version" {
  description = "Version of Karpenter's chart."
  type        = string
  default     = "1.11.0"
}

variable "keda_version" {
  description = "Version of KEDA's chart."
  type        = string
  default     = "2.18.3"
}
