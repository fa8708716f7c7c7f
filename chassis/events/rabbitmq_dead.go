package events

import (
	"context"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"
)

var _ DeadLetterBox = (*RabbitMQ)(nil)

// settle is what becomes of a dead letter.
type settle func(ch *amqp.Channel, d DeadLetter) (remove bool, err error)

// DeadLetters implements [DeadLetterBox]. An ID is the event's id and the group.
func (r *RabbitMQ) DeadLetters(ctx context.Context, limit int) ([]DeadLetter, error) {
	var out []DeadLetter
	err := r.eachDead(ctx, limit, func(_ *amqp.Channel, d DeadLetter) (bool, error) {
		out = append(out, d)
		return false, nil
	})
	if err != nil {
		return out, fmt.Errorf("read dead letters: %w", err)
	}
	return out, nil
}

// ReplayDead implements [DeadLetterBox].
func (r *RabbitMQ) ReplayDead(ctx context.Context, pick func(DeadLetter) bool) (int, error) {
	n := 0
	err := r.eachDead(ctx, 0, func(ch *amqp.Channel, d DeadLetter) (bool, error) {
		if !pick(d) {
			return false, nil
		}
		queue := r.queue(d.Group, d.Topic)
		if _, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil); err != nil { // RabbitMQ would drop a message for a queue that isn't there
			return false, fmt.Errorf("find the queue of %s: %w", d.Group, err)
		}
		if err := r.current().publish(ctx, "", queue, publishing(replayed(d), d.Message.Body)); err != nil {
			return false, fmt.Errorf("publish to %s: %w", queue, err)
		}
		n++
		return true, nil
	})
	if err != nil {
		return n, fmt.Errorf("replay dead letters: %w", err)
	}
	return n, nil
}

// DropDead implements [DeadLetterBox].
func (r *RabbitMQ) DropDead(ctx context.Context, pick func(DeadLetter) bool) (int, error) {
	n := 0
	err := r.eachDead(ctx, 0, func(_ *amqp.Channel, d DeadLetter) (bool, error) {
		if !pick(d) {
			return false, nil
		}
		n++
		return true, nil
	})
	if err != nil {
		return n, fmt.Errorf("drop dead letters: %w", err)
	}
	return n, nil
}

// eachDead calls fn with the dead letters that are there now, the oldest first and at most limit unless that is 0. What isn't removed
// goes back when the channel closes.
func (r *RabbitMQ) eachDead(ctx context.Context, limit int, fn settle) error {
	l := r.current()
	if l == nil {
		return errNotConnected
	}
	ch, err := l.channel(ctx)
	if err != nil {
		return err
	}
	defer ch.Close() // it gives back what was read; a lost channel does, too
	if limit == 0 {  // what dies again meanwhile is for another time
		q, err := ch.QueueDeclarePassive(r.deadQueue(), true, false, false, false, nil)
		if err != nil {
			return err
		}
		limit = q.Messages
	}
	for range limit {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		d, ok, err := ch.Get(r.deadQueue(), false)
		if err != nil || !ok {
			return err
		}
		h := header(d.Headers)
		remove, err := fn(ch, deadLetter(h[HeaderEventID]+"@"+h[HeaderDeadGroup], h, d.Body))
		if err != nil {
			return err
		}
		if remove {
			if err := d.Ack(false); err != nil {
				return fmt.Errorf("remove it: %w", err)
			}
		}
	}
	return nil
}

// RemoveGroup forgets a group's subscription to a topic, and what waits for it: nobody will subscribe with it again. It is no error when there
// is none. Until a group that is no longer used is removed, its queue fills.
func (r *RabbitMQ) RemoveGroup(ctx context.Context, group, topic string) error {
	l := r.current()
	if l == nil {
		return fmt.Errorf("remove group %s: %w", group, errNotConnected)
	}
	ch, err := l.channel(ctx)
	if err != nil {
		return fmt.Errorf("remove group %s of %s: %w", group, topic, err)
	}
	defer ch.Close()
	if _, err := ch.QueueDelete(r.queue(group, topic), false, false, false); err != nil {
		return fmt.Errorf("remove group %s of %s: %w", group, topic, err)
	}
	return nil
}
