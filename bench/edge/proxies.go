package main

import (
	"context"
	"fmt"
)

// Each proxy keeps its connections to the server, more of them than wrk has, writes no log, and checks nothing: as fast as its documentation says
// that it can be.

func nginx(_ context.Context, e *env, address string) ([]string, error) {
	bin, err := installed("nginx")
	if err != nil {
		return nil, err
	}
	path, err := e.write("nginx.conf", fmt.Sprintf(`
daemon off;
worker_processes auto;
pid %[1]s/nginx.pid;
error_log stderr crit;
events { worker_connections 4096; }
http {
	access_log off;
	keepalive_requests 1000000000;
	client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
	upstream items { server %[2]s; keepalive 128; keepalive_requests 1000000000; }
	server {
		listen %[3]s;
		location / { proxy_pass http://items; proxy_http_version 1.1; proxy_set_header Connection ""; }
	}
}
`, e.peer, e.JSON, address))
	return []string{bin, "-c", path, "-p", e.peer}, err
}

func haproxy(_ context.Context, e *env, address string) ([]string, error) {
	bin, err := installed("haproxy")
	if err != nil {
		return nil, err
	}
	path, err := e.write("haproxy.cfg", fmt.Sprintf(`
global
	maxconn 4096
defaults
	mode http
	timeout connect 5s
	timeout client 60s
	timeout server 60s
	http-reuse always
frontend edge
	bind %s
	default_backend items
backend items
	server one %s
`, address, e.JSON))
	return []string{bin, "-db", "-f", path}, err
}

func caddy(ctx context.Context, e *env, address string) ([]string, error) {
	bin, err := built(ctx, "caddy", e.build)
	if err != nil {
		return nil, err
	}
	path, err := e.write("Caddyfile", fmt.Sprintf(`
{
	admin off
	auto_https off
	persist_config off
	log {
		level ERROR
	}
}
http://:%s {
	bind 127.0.0.1
	reverse_proxy %s {
		transport http {
			keepalive_idle_conns_per_host 128
		}
	}
}
`, port(address), e.JSON))
	return []string{bin, "run", "--config", path, "--adapter", "caddyfile"}, err
}

func traefik(ctx context.Context, e *env, address string) ([]string, error) {
	bin, err := built(ctx, "traefik", e.build)
	if err != nil {
		return nil, err
	}
	path, err := e.write("items.yaml", fmt.Sprintf(`
http:
  routers:
    items: { rule: "PathPrefix(`+"`/v1`"+`)", service: items, entryPoints: [edge] }
  services:
    items: { loadBalancer: { servers: [{ url: "http://%s" }] } }
`, e.JSON))
	return []string{
		bin, "--entrypoints.edge.address=" + address, "--providers.file.filename=" + path, "--log.level=ERROR",
		"--global.checknewversion=false", "--global.sendanonymoususage=false",
	}, err
}

func krakend(ctx context.Context, e *env, address string) ([]string, error) {
	bin, err := built(ctx, "krakend", e.build)
	if err != nil {
		return nil, err
	}
	path, err := e.write("krakend.json", fmt.Sprintf(`{
	"version": 3, "listen_ip": "127.0.0.1", "port": %s, "timeout": "10s", "max_idle_connections_per_host": 128,
	"endpoints": [{"endpoint": "/v1/items/{id}", "backend": [{"host": ["http://%s"], "url_pattern": "/v1/items/{id}"}]}]
}`, port(address), e.JSON))
	return []string{bin, path}, err
}
