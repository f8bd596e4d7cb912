# The queue holds pointers only and may be lost, so one node with a spare is enough, and no snapshots are taken.
resource "random_password" "valkey" {
  length  = 48
  special = false
}

resource "aws_security_group" "valkey" {
  name        = "${var.name}-valkey"
  description = "Queue of ${var.name}: from the cluster only"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "valkey" {
  security_group_id            = aws_security_group.valkey.id
  description                  = "Pods of the cluster"
  referenced_security_group_id = aws_eks_cluster.this.vpc_config[0].cluster_security_group_id
  from_port                    = 6379
  to_port                      = 6379
  ip_protocol                  = "tcp"
}

resource "aws_elasticache_subnet_group" "valkey" {
  name       = "${var.name}-valkey"
  subnet_ids = var.subnet_ids
}

resource "aws_elasticache_parameter_group" "valkey" {
  name   = "${var.name}-valkey8"
  family = "valkey8"

  # BullMQ needs it: a queue must not forget jobs when memory is short.
  parameter {
    name  = "maxmemory-policy"
    value = "noeviction"
  }
}

resource "aws_elasticache_replication_group" "valkey" {
  replication_group_id       = "${var.name}-valkey"
  description                = "Queue of ${var.name}"
  engine                     = "valkey"
  engine_version             = "8.0"
  node_type                  = var.valkey_node_type
  num_cache_clusters         = 2
  automatic_failover_enabled = true
  multi_az_enabled           = true
  parameter_group_name       = aws_elasticache_parameter_group.valkey.name
  subnet_group_name          = aws_elasticache_subnet_group.valkey.name
  security_group_ids         = [aws_security_group.valkey.id]
  at_rest_encryption_enabled = true
  transit_encryption_enabled = true
  auth_token                 = random_password.valkey.result
  snapshot_retention_limit   = 0
}
