// Package conformance has the messages of protobuf's conformance suite, for tests: test_messages_proto2 and test_messages_proto3, and in
// editions test_messages_edition2023. The files are those of google.golang.org/protobuf v1.36.12, internal/testprotos/conformance, as they
// are: Copyright 2008 Google Inc., under a BSD-style licence, https://developers.google.com/open-source/licenses/bsd.
package conformance
