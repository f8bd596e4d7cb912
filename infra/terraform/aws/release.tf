# What the chart in infra/helm asks for: a namespace, the queue's address and an operator key. The chart itself is installed with
# helm, since its images and model are chosen anew more often than anything here: see the outputs.
resource "kubernetes_namespace" "this" {
  metadata {
    name = var.name

    labels = {
      "pod-security.kubernetes.io/enforce" = "restricted"
    }
  }

  depends_on = [aws_eks_node_group.base]
}

resource "kubernetes_secret" "queue" {
  metadata {
    name      = "${var.name}-queue"
    namespace = kubernetes_namespace.this.metadata[0].name
  }

  data = {
    QUEUE_URL = "rediss://:${random_password.valkey.result}@${aws_elasticache_replication_group.valkey.primary_endpoint_address}:6379"
  }
}

resource "random_password" "operator" {
  length  = 48
  special = false
}

resource "kubernetes_secret" "operator" {
  metadata {
    name      = "${var.name}-operator"
    namespace = kubernetes_namespace.this.metadata[0].name
  }

  data = {
    OPERATOR_KEY = random_password.operator.result
  }
}
