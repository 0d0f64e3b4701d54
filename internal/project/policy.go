package project

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/ocipkg/ocipkg/internal/errdef"
	"github.com/ocipkg/ocipkg/internal/reference"
)

// Policy is what a user lets a build do. The zero value lets it look names up
// and fetch.
type Policy struct {
	// Locked takes packages by the lock file and by digest alone.
	Locked bool
	// Offline opens no connection.
	Offline bool
}

// PolicyFromEnv gives what the environment says: OCIPKG_LOCKED, OCIPKG_OFFLINE,
// and OCIPKG_FROZEN, which is both. They take 1, true, 0 and false.
func PolicyFromEnv() (Policy, error) {
	var values [3]bool
	for i, name := range []string{"OCIPKG_LOCKED", "OCIPKG_OFFLINE", "OCIPKG_FROZEN"} {
		text := os.Getenv(name)
		if text == "" {
			continue
		}
		var err error
		if values[i], err = strconv.ParseBool(text); err != nil {
			return Policy{}, errdef.Errorf(errdef.ErrUsage, "%s is %q; set it to 1 or 0", name, text)
		}
	}
	return Policy{Locked: values[0] || values[2], Offline: values[1] || values[2]}, nil
}

// CheckLock tells whether the lock file goes with the project file: an error of
// kind [errdef.ErrLock] says what is missing or too much.
func (p *Project) CheckLock() error {
	if p == nil {
		return errdef.Errorf(errdef.ErrLock, "there is no %s here, and so no lock; name the package with its digest, or run: ocipkg add NAME", FileName)
	}
	lock, err := p.Lock()
	if err != nil {
		return err
	}
	if lock == nil {
		if len(p.Dependencies)+len(p.Overrides) == 0 {
			return nil
		}
		return errdef.Errorf(errdef.ErrLock, "%s is not there; run: ocipkg lock", p.LockPath())
	}
	needed := map[string]bool{}
	for alias := range p.Dependencies {
		ref, err := p.Reference(alias)
		if err == nil {
			err = p.need(lock, ref, "it is the dependency "+alias+", and", needed)
		}
		if err != nil {
			return err
		}
	}
	for of, by := range p.Overrides {
		if err := p.need(lock, by, "it is the override of "+of+", and", needed); err != nil {
			return err
		}
	}
	var idle []string
	for _, locked := range lock.Packages {
		if !needed[locked.Name] {
			idle = append(idle, locked.Name)
		}
	}
	if len(idle) > 0 {
		return errdef.Errorf(errdef.ErrLock, "%s does not go with %s: nothing asks for %s any more; run: ocipkg lock", p.LockPath(), FileName, strings.Join(idle, ", "))
	}
	return nil
}

// need notes what a name stands for, and all that this requires.
func (p *Project) need(lock *Lock, ref reference.Reference, why string, needed map[string]bool) error {
	locked := lock.Find(ref)
	if locked == nil || ref.Digest != "" && ref.Digest != locked.Digest {
		return errdef.Errorf(errdef.ErrLock, "%s does not go with %s: %s the lock does not have %s; run: ocipkg lock", p.LockPath(), FileName, why, ref)
	}
	if needed[locked.Name] {
		return nil
	}
	needed[locked.Name] = true
	for _, build := range locked.Builds {
		for _, required := range slices.Compact(slices.Clone(build.Requires)) {
			next, err := p.Reference(required)
			if err == nil {
				err = p.need(lock, next, locked.Name+" requires it, and", needed)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
