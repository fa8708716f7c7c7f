package openapi

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// statusOf is the status of a google.rpc.Code by its name, as package problem has it; 0 for any other word.
func statusOf(code string) int {
	return map[string]int{
		"INVALID_ARGUMENT": http.StatusBadRequest, "OUT_OF_RANGE": http.StatusBadRequest, "UNAUTHENTICATED": http.StatusUnauthorized,
		"PERMISSION_DENIED": http.StatusForbidden, "NOT_FOUND": http.StatusNotFound, "ALREADY_EXISTS": http.StatusConflict, "ABORTED": http.StatusConflict,
		"FAILED_PRECONDITION": http.StatusUnprocessableEntity, "RESOURCE_EXHAUSTED": http.StatusTooManyRequests, "INTERNAL": http.StatusInternalServerError,
		"UNAVAILABLE": http.StatusServiceUnavailable, "DEADLINE_EXCEEDED": http.StatusGatewayTimeout,
	}[code]
}

// refusal is a status that an operation may end with.
type refusal struct {
	code    string
	reasons []string
}

// refusals reads the comment of a method. It names codes, and after each the reasons that come with it: "FAILED_PRECONDITION: PAYMENT_DECLINED,
// OUT_OF_STOCK. NOT_FOUND when there is none." A value of an enum is none.
func refusals(md protoreflect.MethodDescriptor) map[int]*refusal {
	out := map[int]*refusal{}
	var now *refusal
	for _, word := range regexp.MustCompile(`\b[A-Z][A-Z0-9]*(_[A-Z0-9]+)*\b`).FindAllString(comment(md), -1) {
		if status := statusOf(word); status != 0 {
			if out[status] == nil {
				out[status] = &refusal{code: word}
			}
			now = out[status]
			continue
		}
		if now != nil && strings.Contains(word, "_") && !valueOf(md, word) && !slices.Contains(now.reasons, word) {
			now.reasons = append(now.reasons, word)
		}
	}
	return out
}

// valueOf says whether a word is a value of an enum in the file of the method, or what follows the enum's name in one.
func valueOf(md protoreflect.MethodDescriptor, word string) bool {
	enums := md.ParentFile().Enums()
	for i := range enums.Len() {
		for j := range enums.Get(i).Values().Len() {
			if name := string(enums.Get(i).Values().Get(j).Name()); name == word || strings.HasSuffix(name, "_STATE_"+word) {
				return true
			}
		}
	}
	return false
}

// add puts what the gateway itself refuses beside what the method does.
func add(all map[int]*refusal, code string, reasons ...string) {
	status := statusOf(code)
	r := all[status]
	if r == nil {
		r = &refusal{code: code}
		all[status] = r
	}
	for _, reason := range reasons {
		if !slices.Contains(r.reasons, reason) {
			r.reasons = append(r.reasons, reason)
		}
	}
}
