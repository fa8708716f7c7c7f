// Package outbox publishes events that commit with the change that caused them, and applies each event once and in order.
//
// A module calls [Append] in the transaction of the change. A [Relay] publishes what is committed; host.Host runs one for each module, and a
// lease lets one of a module's instances work. [Subscribe] applies each event once for each consumer, in a transaction of the consumer's
// database, in the order of its key. The tables are [Schema]'s. docs/adr/0008-outbox.md says why it is so.
//
// What holds:
//
//   - An event is published if and only if its transaction commits, however long the broker is away; the relay's memory is bounded by one
//     batch.
//   - An acknowledged event stays in the outbox until every group has been seen to be done with it. One that the broker has lost is published
//     again. A broker that can't be asked (events.Keeper) has it on disk, and it stays for RelayConfig.Keep.
//   - A consumer applies an event once, whatever is delivered twice, and the events of one key in the order in which they were appended.
//   - What can't be applied becomes a dead letter, which can be replayed: `cleave events dead`.
//   - A relay that has lost its lease writes nothing.
package outbox
