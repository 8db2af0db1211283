package httpapi

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"cellblock/api"
	"cellblock/internal/jobs"
)

// defaultPage and maxPage are the default and the largest number of jobs in a response of GET /jobs.
const (
	defaultPage = 50
	maxPage     = 200
)

// listQuery returns the query for the parameters of GET /jobs at the time now. Its errors name the parameter.
func listQuery(params api.ListJobsParams, now time.Time) (query jobs.ListQuery, err error) {
	if query, err = listedNames(params); err != nil {
		return query, err
	}
	query.Limit = defaultPage
	if params.Limit != nil {
		n, err := strconv.Atoi(*params.Limit)
		if err != nil || n < 1 || n > maxPage {
			return query, jobs.Errorf(jobs.CodeInvalidRequest, `"limit" must be a number from 1 to %d`, maxPage)
		}
		query.Limit = n
	}
	if params.Cursor != nil {
		var ok bool
		if query.Before, ok = jobs.ParseID(*params.Cursor); !ok {
			return query, jobs.Errorf(jobs.CodeInvalidRequest,
				`"cursor" must be the next_cursor of an earlier response`)
		}
	}
	if query.Labels, err = listedLabels(params.Label); err != nil {
		return query, err
	}
	if query.Since, err = listedTime("since", params.Since, now); err != nil {
		return query, err
	}
	if query.Until, err = listedTime("until", params.Until, now); err != nil {
		return query, err
	}
	if params.Since != nil && params.Until != nil && !query.Since.Before(query.Until) {
		return query, jobs.Errorf(jobs.CodeInvalidRequest, `"since" must be before "until"`)
	}
	return query, nil
}

// listedNames returns the part of the query that consists of names: status, tenant, environment and code.
func listedNames(params api.ListJobsParams) (query jobs.ListQuery, err error) {
	if params.Status != nil {
		query.State = jobs.State(*params.Status)
		if !slices.Contains(jobs.States(), query.State) {
			return query, jobs.Errorf(jobs.CodeInvalidRequest,
				`"status" must be queued, running, succeeded, failed or cancelled`)
		}
	}
	if params.Tenant != nil {
		if query.Tenant = jobs.Tenant(*params.Tenant); !jobs.IsTenantName(*params.Tenant) {
			return query, jobs.Errorf(jobs.CodeInvalidRequest,
				`"tenant" must be the name of a tenant: lower case letters, digits and hyphens`)
		}
	}
	if params.Environment != nil {
		if query.Environment = *params.Environment; !jobs.IsEnvironmentName(query.Environment) {
			return query, jobs.Errorf(jobs.CodeInvalidRequest,
				`"environment" must be the name of an environment, such as data-science`)
		}
	}
	query.Code, err = listedCode(params.Code)
	return query, err
}

func listedCode(text *string) (jobs.Code, error) {
	if text == nil {
		return "", nil
	}
	code := jobs.Code(*text)
	if slices.Contains(jobs.OutcomeCodes(), code) {
		return code, nil
	}
	var names []string
	for _, each := range jobs.OutcomeCodes() {
		names = append(names, string(each))
	}
	return "", jobs.Errorf(jobs.CodeInvalidRequest,
		`"code" must be one with which jobs end: %s; for those that succeeded, use status=succeeded`,
		strings.Join(names, ", "))
}

func listedLabels(texts *[]string) (map[string]string, error) {
	if texts == nil {
		return nil, nil
	}
	labels := map[string]string{}
	for _, text := range *texts {
		key, value, err := jobs.ParseLabel(text)
		if err != nil {
			return nil, err
		}
		if other, there := labels[key]; there && other != value {
			return nil, jobs.Errorf(jobs.CodeInvalidRequest,
				`"label" has two values of %q; a job has at most one, so none has both`, key)
		}
		labels[key] = value
		if len(labels) > jobs.MaxLabels {
			return nil, jobs.Errorf(jobs.CodeInvalidRequest,
				`"label" is given for more than %d keys; a job has at most so many`, jobs.MaxLabels)
		}
	}
	return labels, nil
}

// listedTime parses a time of RFC 3339, or a duration back from now; the zero time for none.
func listedTime(name string, text *string, now time.Time) (time.Time, error) {
	if text == nil {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, *text); err == nil {
		return at, nil
	}
	back, err := time.ParseDuration(*text)
	if err != nil || back < 0 {
		return time.Time{}, jobs.Errorf(jobs.CodeInvalidRequest, `%q must be a time such as 2026-01-02T03:04:05Z `+
			`(send the + of an offset as %%2B), or a duration back from now such as 90s, 15m or 24h`, name)
	}
	return now.Add(-back), nil
}
