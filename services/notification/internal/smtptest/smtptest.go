// Package smtptest is a mail server for tests, which can be made to misbehave.
package smtptest

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// HangUp as an answer closes the connection without a word.
const HangUp = "hang up"

// patience bounds a conversation, so that none outlives its test.
const patience = time.Minute

// Mail is what the server got.
type Mail struct {
	From, To string
	// Data is headers and body.
	Data string
	// Taken: the server has it, whatever the client was told.
	Taken bool
}

// Server takes mails at 127.0.0.1.
type Server struct {
	Addr string
	// Password, when not empty, is asked for by AUTH PLAIN; the user is "shop".
	password string

	mu      sync.Mutex
	answers map[string][]string
	mails   []Mail
	conns   map[net.Conn]bool
}

// Start starts a server, which ends with the test.
func Start(t testing.TB, password string) *Server {
	t.Helper()
	return start(t, password, nil)
}

// StartTLS starts one with TLS before the first word.
func StartTLS(t testing.TB, password string, cert tls.Certificate) *Server {
	t.Helper()
	return start(t, password, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
}

func start(t testing.TB, password string, secure *tls.Config) *Server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if secure != nil {
		ln = tls.NewListener(ln, secure)
	}
	s := &Server{Addr: ln.Addr().String(), password: password, answers: map[string][]string{}, conns: map[net.Conn]bool{}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.keep(c)
			wg.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		s.mu.Lock()
		for c := range s.conns {
			_ = c.Close()
		}
		s.mu.Unlock()
		wg.Wait()
	})
	return s
}

func (s *Server) keep(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = true
}

// Answer has the next of a command (CONNECT, EHLO, AUTH, MAIL, RCPT, DATA, and END for the end of the text) answered so, once for each answer.
func (s *Server) Answer(command string, answers ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[command] = append(s.answers[command], answers...)
}

// Mails returns what has come so far.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.mails...)
}

// planned is the next answer to a command, or what it is otherwise.
func (s *Server) planned(command, otherwise string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if list := s.answers[command]; len(list) > 0 {
		s.answers[command] = list[1:]
		return list[0]
	}
	return otherwise
}

func (s *Server) serve(c net.Conn) {
	defer func() {
		_ = c.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, c)
	}()
	_ = c.SetDeadline(time.Now().Add(patience))
	in := bufio.NewReader(c)
	say := func(command, otherwise string) bool {
		answer := s.planned(command, otherwise)
		if answer == HangUp {
			return false
		}
		_, err := c.Write([]byte(answer + "\r\n"))
		return err == nil
	}
	if !say("CONNECT", "220 test") {
		return
	}
	var m Mail
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		verb, arg, _ := strings.Cut(line, " ")
		var ok bool
		switch verb = strings.ToUpper(verb); verb {
		case "EHLO":
			ok = say(verb, "250-test\r\n250-8BITMIME\r\n250 AUTH PLAIN")
		case "AUTH":
			ok = say(verb, s.auth(arg))
		case "MAIL":
			m, ok = Mail{From: arg}, say(verb, "250 ok")
		case "RCPT":
			m.To, ok = arg, say(verb, "250 ok")
		case "DATA":
			answer := s.planned("DATA", "354 go on")
			if answer == HangUp {
				return
			}
			_, _ = c.Write([]byte(answer + "\r\n"))
			if !strings.HasPrefix(answer, "354") {
				continue
			}
			if m.Data, err = text(in); err != nil {
				return
			}
			ok = s.take(m, say)
		case "QUIT":
			_ = say(verb, "221 bye")
			return
		default: // RSET, NOOP, ...
			ok = say(verb, "250 ok")
		}
		if !ok {
			return
		}
	}
}

// take notes a mail before it answers: one whose answer is lost was taken all the same.
func (s *Server) take(m Mail, say func(command, otherwise string) bool) bool {
	s.mu.Lock()
	planned := s.answers["END"]
	m.Taken = len(planned) == 0 || planned[0] == HangUp || strings.HasPrefix(planned[0], "2")
	s.mails = append(s.mails, m)
	s.mu.Unlock()
	return say("END", "250 taken")
}

func (s *Server) auth(arg string) string {
	want := base64.StdEncoding.EncodeToString([]byte("\x00shop\x00" + s.password))
	if s.password == "" || arg == "PLAIN "+want {
		return "235 welcome"
	}
	return "535 " + arg + " is wrong" // it repeats what it was told, as some do
}

// text reads until the line with nothing but a dot.
func text(in *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return "", err
		}
		if strings.TrimRight(line, "\r\n") == "." {
			return b.String(), nil
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
}
