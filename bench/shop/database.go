package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// database makes an empty database whose name the modules' databases begin with. drop drops it and them.
func database(ctx context.Context) (at string, drop func() error, err error) {
	server := cmp.Or(os.Getenv("CLEAVE_TEST_POSTGRES"), "postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable")
	u, err := url.Parse(server)
	if err != nil {
		return "", nil, errors.New("CLEAVE_TEST_POSTGRES isn't a URL")
	}
	base := "bench_" + strconv.FormatInt(time.Now().UnixNano(), 36)
	u.Path = "/" + base
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return "", nil, fmt.Errorf("PostgreSQL of CLEAVE_TEST_POSTGRES doesn't answer: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{base}.Sanitize())
	return u.String(), func() error { return dropAll(server, base) }, err
}

func dropAll(server, base string) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // also after Ctrl-C
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return fmt.Errorf("drop the databases: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	rows, err := conn.Query(ctx, `SELECT datname FROM pg_database WHERE datname = $1 OR starts_with(datname, $1 || '_')`, base)
	if err != nil {
		return fmt.Errorf("list the databases: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, n := range names {
		_, dropErr := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{n}.Sanitize()+" WITH (FORCE)")
		err = errors.Join(err, dropErr)
	}
	return err
}
