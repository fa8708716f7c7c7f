# On top of agent.hcl: TLS on every port, and gossip with a key. The files are relative to the folder the agent is started in, so
# consul/tls with `go -C consul`; git ignores it. consul/README.md says how they are made, and docs/mesh.md what cleave is told of them.

ports {
  http     = -1
  https    = 8501
  grpc     = -1
  grpc_tls = 8503
}

tls {
  defaults {
    ca_file         = "tls/ca.pem"
    cert_file       = "tls/agent.pem" # for localhost, 127.0.0.1 and, of a server, server.DATACENTER.consul
    key_file        = "tls/agent-key.pem"
    verify_outgoing = true
  }

  # Between agents both sides show a certificate, and only a server's is taken for one.
  internal_rpc {
    verify_incoming        = true
    verify_server_hostname = true
  }
}

# The key of the gossip is a secret: it stands in a file of its own, tls/gossip.hcl, which is given with -config-file as well.
