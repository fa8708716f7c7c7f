# What the module order may do in Consul. Written by `cleave mesh policies consul/acl`.

# Itself: the entry in the registry, and the certificate of the name.
service "order" {
  policy = "write"
}

# Others: where they are, whether they are well, and who may call whom.
service_prefix "" {
  policy = "read"
}
node_prefix "" {
  policy = "read"
}

# Settings, which module runs where, what keeps calls from harm, and faults on purpose.
key_prefix "cleave/config/" {
  policy = "read"
}
key_prefix "cleave/topology/" {
  policy = "read"
}
key_prefix "cleave/resilience/" {
  policy = "read"
}
key_prefix "cleave/faults/" {
  policy = "read"
}
