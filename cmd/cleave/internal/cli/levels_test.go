package cli

import (
	"log/slog"
	"testing"
)

// A module that the settings no longer name has the level of all again.
func TestLevelsFollowTheSettings(t *testing.T) {
	l := newLogs(slog.LevelInfo)
	s := defaults()
	s.Log.Level, s.Log.Levels = "warn", []string{"order=debug", "cart=error"}
	l.follow(s)
	for module, want := range map[string]slog.Level{"order": slog.LevelDebug, "cart": slog.LevelError, "catalog": slog.LevelWarn} {
		if got := l.levels.Of(module); got != want {
			t.Errorf("%s is at %v, want %v", module, got, want)
		}
	}
	s.Log.Levels = []string{"cart=error"}
	if l.follow(s); l.levels.Of("order") != slog.LevelWarn || l.levels.Of("cart") != slog.LevelError {
		t.Errorf("order %v, cart %v", l.levels.Of("order"), l.levels.Of("cart"))
	}
	for _, wrong := range []string{"order", "order=loud", "=debug"} {
		s.Log.Levels = []string{wrong}
		if err := s.Validate(); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}
