# What every agent of ours has, a server or not. Every key: https://developer.hashicorp.com/consul/docs/reference/agent/configuration-file
#
#   go -C consul tool consul agent -dev -config-file agent.hcl                              a throw-away agent, in memory
#   go -C consul tool consul agent -config-file agent.hcl -config-file server.hcl           one server that keeps its data

datacenter = "home"

# Only this machine can reach the agent. There are no ACLs here (agent-acl.hcl has them) and no TLS: whoever reaches port 8500 owns the
# registry. To open it, first bring both, then change these two lines.
bind_addr   = "127.0.0.1"
client_addr = "127.0.0.1"

ports {
  http     = 8500 # API and UI: http://127.0.0.1:8500/ui
  grpc     = 8502 # signs certificates for `cleave --mesh`; all else goes over HTTP
  grpc_tls = -1
  https    = -1
  dns      = 8600 # dig @127.0.0.1 -p 8600 catalog.service.consul SRV
}

# Nobody may run commands on this machine through the agent; the checks of services are gRPC and HTTP.
enable_script_checks       = false
enable_local_script_checks = false
disable_remote_exec        = true

# The agent does not phone home.
disable_update_check = true

# When the agent goes, what is registered with it stays: a restart of Consul must not look like the end of every service.
leave_on_terminate      = false
skip_leave_on_interrupt = true

ui_config {
  enabled = true

  # Each service's page gets a link, "Open dashboard": the gateway's page of the routes that are live, with those of the service marked.
  dashboard_url_templates {
    service = "http://127.0.0.1:8080/#{{Service.Name}}"
  }
}

# GET /v1/agent/metrics?format=prometheus
telemetry {
  prometheus_retention_time = "60s"
  disable_hostname          = true
}

limits {
  # Every cleave process holds a blocking query per service it calls, all from this one address.
  http_max_conns_per_client = 1000
}

log_level = "INFO"
