package rpc

import healthpb "google.golang.org/grpc/health/grpc_health_v1"

// SetReady says to those who ask by the standard gRPC health service, as Consul does, whether the server is ready: SERVING or NOT_SERVING. It goes on
// serving either way. A server is ready from Start; one that drains isn't any more, whatever is said.
func (s *Server) SetReady(ready bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := healthpb.HealthCheckResponse_NOT_SERVING
	if ready {
		status = healthpb.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus("", status)
	for _, h := range s.handlers {
		if sd := s.c.Contract.Services().ByName(nameOf(h)); sd != nil {
			s.health.SetServingStatus(string(sd.FullName()), status)
		}
	}
}
