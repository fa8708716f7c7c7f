# What Consul's agent itself may do in Consul. Written by `cleave mesh policies consul/acl`.

# The agent's own node, and what it says of services whose token is gone.
node_prefix "" {
  policy = "write"
}
service_prefix "" {
  policy = "read"
}
