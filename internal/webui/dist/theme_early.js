var m="cellblock.theme";function t(){try{let e=localStorage.getItem(m);return e==="light"||e==="dark"?e:"system"}catch{return"system"}}function o(e){document.documentElement.dataset.theme=e}o(t());
