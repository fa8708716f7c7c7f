// Package sale is one order: its words, its states, and what may follow what. It is pure: nothing in it waits, reads a clock or calls
// anyone. Every change is a method of [Order] that checks that it is legal, and writes an [Entry] for the audit trail; a store keeps
// both in one transaction.
package sale
