package events

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// checkTopic refuses what a subject or a routing key cannot carry, above all wildcards: a topic is one name.
func checkTopic(topic string) error {
	if topic == "" {
		return errors.New("the topic is empty")
	}
	if len(topic) > 200 {
		return fmt.Errorf("the topic has %d characters, at most 200 are taken", len(topic))
	}
	if strings.HasPrefix(topic, ".") || strings.HasSuffix(topic, ".") || strings.Contains(topic, "..") {
		return fmt.Errorf("topic %q has an empty part", topic)
	}
	for _, r := range topic {
		if r <= ' ' || r > '~' || strings.ContainsRune("*>#/\\", r) {
			return fmt.Errorf("topic %q: character %q is not taken", topic, r)
		}
	}
	return nil
}

// durable names a group's subscription to a topic: readable, with a hash so that no two share a name.
func durable(group, topic string) string {
	sum := sha256.Sum256([]byte(group + "\x00" + topic))
	return plainName(group) + "_" + plainName(topic) + "_" + hex.EncodeToString(sum[:4])
}

// plainName keeps letters, digits and -, at most 80 of them.
func plainName(s string) string {
	out := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '_'
	}, s)
	return out[:min(len(out), 80)]
}
