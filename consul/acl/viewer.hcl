# What a person who looks may do in Consul. Written by `cleave mesh policies consul/acl`.

# What the UI shows, but the key/value store: hashes of API keys are in it.
service_prefix "" {
  policy     = "read"
  intentions = "read"
}
node_prefix "" {
  policy = "read"
}
agent_prefix "" {
  policy = "read"
}
