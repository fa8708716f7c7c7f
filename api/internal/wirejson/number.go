package wirejson

import "strconv"

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func digits(s []byte) int {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return n
}

// numberLen says how many bytes a JSON number at the beginning of s has; 0 when there is none. It takes "1e" before a bracket or a comma,
// as protojson does, which an integer field then takes for 1.
func numberLen(s []byte) int {
	p, ok := split(s)
	if !ok || p.size < len(s) && inWord(s[p.size]) {
		return 0
	}
	return p.size
}

// parts of a number.
type parts struct {
	neg                    bool
	whole, fraction, power []byte // without the zero before a point, the point, and the e
	size                   int    // of all of it
}

func split(s []byte) (p parts, ok bool) {
	i := 0
	if i < len(s) && s[i] == '-' {
		p.neg = true
		i++
	}
	switch n := digits(s[i:]); {
	case n == 0:
		return p, false
	case s[i] == '0':
		i++
	default:
		p.whole = s[i : i+n]
		i += n
	}
	if i+1 < len(s) && s[i] == '.' && isDigit(s[i+1]) {
		n := digits(s[i+1:])
		p.fraction = s[i+1 : i+1+n]
		i += 1 + n
	}
	if i+1 < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i++
		from := i
		if s[i] == '+' || s[i] == '-' {
			if i++; i == len(s) {
				return p, false
			}
		}
		i += digits(s[i:])
		p.power = s[from:i]
	}
	p.size = i
	return p, true
}

// integer is the value of a number that is a whole one, 1.50e2 say: how much, and whether it is below zero.
func integer(s []byte) (abs uint64, neg, ok bool) {
	if len(s) < 20 { // most are only digits, or a sign and digits
		i := 0
		if s[0] == '-' {
			i = 1
		}
		if n := digits(s[i:]); i+n == len(s) {
			for _, c := range s[i:] {
				abs = abs*10 + uint64(c-'0')
			}
			return abs, i == 1 && abs != 0, true
		}
	}
	p, ok := split(s)
	if !ok {
		return 0, false, false
	}
	for len(p.fraction) > 0 && p.fraction[len(p.fraction)-1] == '0' {
		p.fraction = p.fraction[:len(p.fraction)-1]
	}
	if len(p.whole) == 0 && len(p.fraction) == 0 {
		return 0, false, true
	}
	power := int64(0)
	if len(p.power) > 0 {
		var err error
		if power, err = strconv.ParseInt(string(p.power), 10, 32); err != nil {
			return 0, false, false
		}
	}
	abs, ok = p.shifted(int(power))
	return abs, p.neg && abs != 0, ok
}

// shifted moves the point to the right, or to the left when by is below zero.
func (p *parts) shifted(by int) (v uint64, ok bool) {
	const most = 20 // digits of an uint64
	if by < 0 {
		keep := len(p.whole) + by
		if len(p.fraction) > 0 || keep < 0 {
			return 0, false
		}
		for _, c := range p.whole[keep:] {
			if c != '0' {
				return 0, false
			}
		}
		return parseDigits(0, p.whole[:keep])
	}
	if len(p.fraction) > by || len(p.whole)+by > most {
		return 0, false
	}
	if v, ok = parseDigits(0, p.whole); !ok {
		return 0, false
	}
	if v, ok = parseDigits(v, p.fraction); !ok {
		return 0, false
	}
	for range by - len(p.fraction) {
		if v, ok = parseDigits(v, []byte{'0'}); !ok {
			return 0, false
		}
	}
	return v, true
}

// parseDigits puts digits behind v. ok is false when an uint64 doesn't hold them.
func parseDigits(v uint64, s []byte) (_ uint64, ok bool) {
	const limit = 1<<64 - 1
	for _, c := range s {
		n := uint64(c - '0')
		if v > limit/10 || v*10 > limit-n {
			return 0, false
		}
		v = v*10 + n
	}
	return v, true
}
