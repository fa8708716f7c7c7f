// Package editions has the messages of protobuf's conformance suite for edition 2023: see package conformance.
package editions
