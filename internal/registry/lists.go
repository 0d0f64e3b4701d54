package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/jsonstream"
	"github.com/ocipkg/ocipkg/internal/reference"
)

// The most that is read of a list: more than any registry has, and little enough
// to be held in memory.
const (
	maxPages     = 1000
	maxListBytes = 32 << 20 // of all pages of a list
	maxTags      = 250_000
	maxReferrers = 10_000 // of one manifest
)

// errEnough ends the reading of a list of which no more is wanted.
var errEnough = errors.New("no more is wanted")

// bounded returns the error of a list that is longer than is read.
func bounded(format string, args ...any) error {
	return &explained{errdef.Errorf(errdef.ErrVerification, format, args...)}
}

// pages asks for a list at path, page by page, and calls page with each answer.
// It stops without an error when page returns errEnough.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags
func (r *Repository) pages(ctx context.Context, path string, header http.Header, page func(resp *http.Response, body io.Reader) error) error {
	at, left := r.at(path), int64(maxListBytes)
	for range maxPages {
		resp, err := r.request(ctx, http.MethodGet, at, header, nil)
		if err != nil {
			return err
		}
		body := &io.LimitedReader{R: resp.Body, N: left + 1}
		err = page(resp, body)
		resp.Body.Close()
		if left = body.N - 1; left < 0 {
			return bounded("the list has more than %d bytes, the most that are read of one", maxListBytes)
		}
		if errors.Is(err, errEnough) {
			return nil
		}
		if err != nil {
			return err
		}
		if asked := resp.Request.URL; asked.Host == at.Host {
			at.Scheme = asked.Scheme // which a registry on this machine may have chosen
		}
		next, err := nextPage(at, resp.Header.Values("Link"))
		if next == nil || err != nil {
			return err
		}
		at = next
	}
	return bounded("the list has more than %d pages, the most that are read of one", maxPages)
}

// nextPage returns where a list goes on, by the Link headers of the page at; nil
// when it does not. That is at the same origin, whatever redirects there were.
// https://www.rfc-editor.org/rfc/rfc8288#section-3
func nextPage(at *url.URL, links []string) (*url.URL, error) {
	for _, header := range links {
		for header != "" {
			target, rest, ok := strings.Cut(strings.TrimLeft(header, " \t,"), ">")
			target, opened := strings.CutPrefix(target, "<")
			if !ok || !opened {
				break // no link, and so nothing that could be told apart behind it
			}
			var parameters string
			parameters, header = untilComma(rest)
			if !isNext(parameters) {
				continue
			}
			next, err := at.Parse(strings.TrimSpace(target))
			switch {
			case err != nil:
				return nil, bounded("the list goes on at %s, which is no address", oneLine(target))
			case next.Scheme != at.Scheme || next.Host != at.Host:
				return nil, bounded("the list goes on at %s, which is not the same origin as %s", oneLine(next.Redacted()), at.Host)
			case next.String() == at.String():
				return nil, bounded("the list goes on where it is, and so without end")
			}
			return next, nil
		}
	}
	return nil, nil
}

// untilComma cuts the parameters of one link off those that follow it. A comma
// in quotation marks separates nothing.
func untilComma(text string) (parameters, rest string) {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch {
		case quoted && text[i] == '\\':
			i++
		case text[i] == '"':
			quoted = !quoted
		case text[i] == ',' && !quoted:
			return text[:i], text[i+1:]
		}
	}
	return text, ""
}

// isNext reports whether the first rel among the parameters of a link has next
// among its relations. Without any it is the next page that is meant.
func isNext(parameters string) bool {
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(parameter, "=")
		if strings.EqualFold(strings.TrimSpace(name), "rel") {
			relations := strings.Fields(strings.Trim(strings.TrimSpace(value), `"`))
			return slices.ContainsFunc(relations, func(relation string) bool { return strings.EqualFold(relation, "next") })
		}
	}
	return true
}

// Tags lists the tags of the repository, sorted.
func (r *Repository) Tags(ctx context.Context) ([]string, error) {
	tags, more, err := r.tags(ctx, maxTags)
	if err == nil && more {
		err = bounded("there are more than %d, the most that are listed", maxTags)
	}
	return tags, r.explain("list the tags of "+r.name, err)
}

// tags lists up to most tags, sorted, and reports whether there are more. What is
// no tag, and so cannot be asked for, is left out.
func (r *Repository) tags(ctx context.Context, most int) (tags []string, more bool, err error) {
	strange := 0
	err = again(ctx, func() error {
		tags, more, strange = nil, false, 0
		return r.pages(ctx, "tags/list", nil, func(_ *http.Response, body io.Reader) error {
			return jsonstream.Object(body, func(key string, d *json.Decoder) error {
				if key != "tags" {
					return jsonstream.Skip(d)
				}
				return jsonstream.List(d, func() error {
					var tag string
					if err := d.Decode(&tag); err != nil {
						return err
					}
					switch {
					case !reference.IsTag(tag):
						strange++
					case len(tags) == most:
						more = true
						return errEnough
					default:
						tags = append(tags, tag)
					}
					return nil
				})
			})
		})
	})
	if strange > 0 {
		r.client.warn(fmt.Sprintf("%d of the tags that %s lists cannot be any, and are left out", strange, r.name))
	}
	slices.Sort(tags)
	return slices.Compact(tags), more, err
}
